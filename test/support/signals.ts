import {execFileSync} from 'node:child_process';
import {readdirSync, readFileSync} from 'node:fs';
import type {Ended, Running} from './run.js';
import {launcher, peer, run} from './run.js';
import {World} from './world.js';

/** The first real-time signal of the libc that the commands are made with: 34 with glibc, 35 with musl. */
export const rtmin = Number(execFileSync(launcher('ipc-signal'), ['list', 'RTMIN'], {encoding: 'utf8'}));

const fieldOf = (path: string, name: string): string =>
	new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(readFileSync(path, 'utf8'))?.[1] ?? '';

/** The numbers in one of the masks of /proc/PID/status. */
export function maskOf(path: string, name: string): number[] {
	const mask = BigInt(`0x${fieldOf(path, name)}`);
	return Array.from({length: 64}, (_, i) => i + 1).filter((number) => (mask >> BigInt(number - 1)) & 1n);
}

/** How many signals may be queued for this user. */
export const queueLimit = (): number => Number(fieldOf('/proc/self/status', 'SigQ').split('/')[1]);

/** What each thread of a process blocks, as the kernel has it. */
export const blockedByThreads = (pid: number): number[][] =>
	readdirSync(`/proc/${pid}/task`).map((tid) => maskOf(`/proc/${pid}/task/${tid}/status`, 'SigBlk'));

/** A world with signals, and strangers in C who send and receive them. */
export class SignalWorld extends World {
	signal(...words: string[]): Promise<Ended> {
		return this.run('ipc-signal', words);
	}

	/** One that waits: ready. */
	receiver(...words: string[]): Promise<Running> {
		return this.start('ipc-signal', [...words.slice(0, 1), '--ready-fd', '3', ...words.slice(1)]).ready();
	}

	/** A stranger that has said `ready`. */
	stranger(...words: (string | number)[]): Promise<Running> {
		return this.startOther(peer('signal-peer'), words.map(String)).printed('ready\n');
	}

	/** A stranger that does something and ends. */
	async did(...words: (string | number)[]): Promise<string> {
		const {status, stdout, stderr} = await run(peer('signal-peer'), words.map(String));
		if (status !== 0 && status !== 3) throw new Error(`signal-peer ${words.join(' ')}: ${stderr}`);
		return stdout.toString();
	}

	/** A process that lives until it is ended. */
	sleeper(): Running {
		return this.startOther('sleep', ['60']);
	}
}
