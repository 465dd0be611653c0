import {readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {TestContext} from 'node:test';
import {orAtExit} from './or-at-exit.js';
import {type Ended, peer, type Running, type RunSettings, run} from './run.js';
import {uniqueName} from './unique-name.js';
import {assertDone, World} from './world.js';

/**
 * A world with shared memory segments, which are the whole machine's: their names occur nowhere else. Those that were handed out
 * are gone afterwards, also when the test failed.
 */
export class SegmentWorld extends World {
	private readonly names: string[] = [];

	constructor(t: TestContext) {
		super(t);
		t.after(
			orAtExit(() => {
				for (const name of this.names) rmSync(this.at(name), {recursive: true, force: true});
			}),
		);
	}

	/** A name that no segment has. */
	name(): string {
		const name = uniqueName('shm');
		this.names.push(name);
		return name;
	}

	/** Where it lies for other programs. */
	at(name: string): string {
		return join('/dev/shm', name);
	}

	/** A segment with these bytes, or N zeros, that no command of ours has made. */
	segment(contents: string | Buffer | number): string {
		const name = this.name();
		writeFileSync(this.at(name), typeof contents === 'number' ? Buffer.alloc(contents) : contents, {mode: 0o600});
		return name;
	}

	/** A new ring. */
	async ring(size = '64K'): Promise<string> {
		const name = this.name();
		assertDone(await this.perform('ipc-shm', 'create', name, '--size', size), '');
		return name;
	}

	shm(...words: string[]): Promise<Ended> {
		return this.run('ipc-shm', words);
	}

	/** A command with something on its stdin. */
	feed(input: string | Buffer, ...words: string[]): Promise<Ended> {
		return this.run('ipc-shm', words, {input});
	}

	startShm(words: readonly string[], settings: RunSettings = {}): Running {
		return this.start('ipc-shm', words, settings);
	}

	contents(name: string): Buffer {
		return readFileSync(this.at(name));
	}

	size(name: string): number {
		return statSync(this.at(name)).size;
	}

	exists(name: string): boolean {
		return statSync(this.at(name), {throwIfNoEntry: false}) !== undefined;
	}

	/** A stranger in C does something with a segment, and prints the outcome. */
	async stranger(...words: string[]): Promise<string> {
		const {status, stdout, stderr} = await run(peer('shm-peer'), words);
		if (status !== 0) throw new Error(`shm-peer ${words.join(' ')}: ${stderr}`);
		return stdout.toString();
	}

	/** One that stays, once it has said so. */
	startStranger(program: 'shm-peer' | 'ring-peer', ...words: string[]): Promise<Running> {
		return this.startOther(peer(program), words).printed('ready');
	}
}
