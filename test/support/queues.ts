import type {TestContext} from 'node:test';
import {isKernelError, native} from '../../src/native/index.js';
import {orAtExit} from './or-at-exit.js';
import {type Ended, peer, run} from './run.js';
import {uniqueName} from './unique-name.js';
import {assertDone, World} from './world.js';

/** Small queues: a user's queues together may take 800 KiB, which is nine of the default attributes. */
export const small = ['--maxmsg', '10', '--msgsize', '256'] as const;

/**
 * A world with message queues, which are the whole machine's: their names occur nowhere else. Those that were handed
 * out are gone afterwards, also when the test failed.
 */
export class QueueWorld extends World {
	private readonly names: string[] = [];

	constructor(t: TestContext) {
		super(t);
		t.after(
			orAtExit(() => {
				for (const name of this.names) unlink(name);
			}),
		);
	}

	/** A name that no queue has. */
	name(): string {
		const name = uniqueName();
		this.names.push(name);
		return name;
	}

	/** A new queue: small, or as the words say. */
	async queue(...words: string[]): Promise<string> {
		const name = this.name();
		assertDone(await this.perform('ipc-mq', 'create', name, ...small, ...words), '');
		return name;
	}

	mq(...words: string[]): Promise<Ended> {
		return this.run('ipc-mq', words);
	}

	/** A stranger in C does something with a queue, and prints the outcome. */
	async stranger(...words: string[]): Promise<string> {
		const {status, stdout, stderr} = await run(peer('mq-peer'), words);
		if (status !== 0) throw new Error(`mq-peer ${words.join(' ')}: ${stderr}`);
		return stdout.toString();
	}

	/** How many messages are in it, as a stranger sees it. */
	async level(name: string): Promise<number> {
		return Number((await this.stranger('attributes', name)).split(' ')[2]);
	}

	/** Takes everything out, as lines sorted: what was put back stands behind what came meanwhile. */
	async sortedLines(name: string): Promise<string[]> {
		const {stdout} = await this.mq('recv', name, '--all');
		return stdout.toString().split('\n').slice(0, -1).sort();
	}
}

function unlink(name: string): void {
	try {
		native.mqUnlink(name);
	} catch (error) {
		// The test has removed it, or never made it.
		if (!isKernelError(error) || error.code !== 'ENOENT') throw error;
	}
}
