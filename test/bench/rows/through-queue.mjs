// What can stand on the two sides of a queue of its own, as words of a pipeline.
import {spawnSync} from 'node:child_process';
import {createRequire} from 'node:module';
import {fileURLToPath} from 'node:url';

const require = createRequire(import.meta.url);
const script = (name) => fileURLToPath(new URL(`../peers/${name}`, import.meta.url));

/** Like CC for the compiler: which python has posix_ipc. */
const python = process.env.PYTHON || '/usr/bin/python3';

export const posixIpc = {
	name: 'posix_ipc',
	found: () => spawnSync(python, ['-c', 'import posix_ipc']).status === 0,
};
export const posixMq = {
	name: 'posix-mq',
	found: () => {
		try {
			require('../../peers/posix-mq/node_modules/posix-mq');
			return true;
		} catch {
			return false;
		}
	},
};

/** Each gets the workshop and the queue's name; `sender` and `receiver` are words of a command, the latter ends by itself. */
export const ends = {
	ours: (workshop, name) => ({
		sender: [workshop.command('ipc-mq'), 'send', name],
		receiver: (count) => [workshop.command('ipc-mq'), 'recv', name, '--count', count],
	}),
	plainC: (workshop, name) => ({
		sender: [workshop.program('queue'), 'send', `/${name}`],
		receiver: (count) => [workshop.program('queue'), 'recv', `/${name}`, count],
	}),
	retryingC: (workshop, name) => ({
		sender: [workshop.program('queue'), 'send', `/${name}`, 'retry'],
		receiver: (count) => [workshop.program('queue'), 'recv', `/${name}`, count, 'retry'],
	}),
	posixIpc: (_, name) => ({
		sender: [python, script('queue.py'), 'send', `/${name}`],
		receiver: (count) => [python, script('queue.py'), 'recv', `/${name}`, count],
	}),
	posixMq: (_, name) => ({
		sender: [process.execPath, script('posix-mq.cjs'), 'send', `/${name}`],
		receiver: (count) => [process.execPath, script('posix-mq.cjs'), 'recv', `/${name}`, count],
	}),
};

/** One message, from the start of a program to its end. */
export const once = {
	C: (workshop, name) => [workshop.program('queue'), 'once', `/${name}`, 'x'],
	posixIpc: (_, name) => [python, script('queue.py'), 'once', `/${name}`, 'x'],
};

/**
 * Lines of 60 bytes through a queue that holds ten messages; `last` is the last stage, `prints` what it has to print,
 * `before` what stands before the words of the two sides.
 */
export const queuePipeline = (
	workshop,
	count,
	pair,
	{last = ['wc', '-l'], prints = count, timeoutMs, before = []} = {},
) =>
	workshop.withQueue((name) => {
		const {sender, receiver} = pair(workshop, name);
		const words = [
			workshop.program('lines'),
			count,
			'|',
			...before,
			...sender,
			'@',
			...before,
			...receiver(count),
			'|',
			...last,
		];
		return workshop.pipeline(words, {prints, timeoutMs});
	});
