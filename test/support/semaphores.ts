import assert from 'node:assert/strict';
import {existsSync, readFileSync, rmSync} from 'node:fs';
import type {TestContext} from 'node:test';
import {orAtExit} from './or-at-exit.js';
import {type Ended, peer, type Running, type RunSettings, run} from './run.js';
import {uniqueName} from './unique-name.js';
import {until} from './until.js';
import {assertDone, World} from './world.js';

const {glibcVersionRuntime} =
	(process.report?.getReport() as {header: {glibcVersionRuntime?: string}} | undefined)?.header ?? {};

/** Where libc keeps them: sem_overview(7). musl puts nothing before the name. */
export const fileOf = (name: string): string => `/dev/shm/${glibcVersionRuntime ? 'sem.' : ''}${name}`;

/** A holder as --json shows it. */
export interface Holder {
	pid: number;
	uid: number;
	command: string;
	since: string;
	state: string;
}

/**
 * A world with semaphores, which are the whole machine's: their names occur nowhere else. Those that were handed out
 * are gone afterwards, also when the test failed, and so are their barriers.
 */
export class SemaphoreWorld extends World {
	private readonly names: string[] = [];

	constructor(t: TestContext) {
		super(t);
		t.after(
			orAtExit(() => {
				for (const name of this.names)
					for (const each of [name, `ipc-barrier.${name}`]) rmSync(fileOf(each), {recursive: true, force: true});
			}),
		);
	}

	/** A name that no semaphore has. */
	name(): string {
		const name = uniqueName();
		this.names.push(name);
		return name;
	}

	/** A new semaphore with N units. */
	async semaphore(units = 1, ...words: string[]): Promise<string> {
		const name = this.name();
		assertDone(await this.perform('ipc-sem', 'create', name, '--value', String(units), ...words), '');
		return name;
	}

	sem(...words: string[]): Promise<Ended> {
		return this.run('ipc-sem', words);
	}

	startSem(...words: string[]): Running {
		return this.start('ipc-sem', words);
	}

	/** A stranger in C does something with a semaphore, and prints the outcome. */
	async stranger(...words: string[]): Promise<string> {
		const {status, stdout, stderr} = await run(peer('sem-peer'), words);
		if (status !== 0) throw new Error(`sem-peer ${words.join(' ')}: ${stderr}`);
		return stdout.toString();
	}

	startStranger(words: readonly string[], settings: RunSettings = {}): Running {
		return this.startOther(peer('sem-peer'), words, settings);
	}

	/** How many units are free, as a stranger sees it. */
	async value(name: string): Promise<number> {
		return Number(await this.stranger('value', name));
	}

	async holders(name: string): Promise<Holder[]> {
		return JSON.parse((await this.sem('stat', name, '--json')).stdout.toString()).holders;
	}

	/** The unit is free, its list of holders cut off, and nobody waits. */
	async assertAtRest(name: string, units: number): Promise<void> {
		assert.equal(await this.value(name), units);
		assert.equal(waitersOf(name), 0);
		assert.equal(readFileSync(fileOf(name)).length, 32);
	}

	/** `run` with a command that says `runs` and then lives until it is told to end, by a line or the end of its stdin. */
	async holding(name: string, ...words: string[]): Promise<Running> {
		return this.startSem('run', name, ...words, '--', 'sh', '-c', 'echo runs; read line; exit 0').printed('runs\n');
	}

	exists(name: string): boolean {
		return existsSync(fileOf(name));
	}
}

/** How many wait, from the word that both glibc and musl keep beside the value. */
export const waitersOf = (name: string): number => readFileSync(fileOf(name)).readUInt32LE(4);

export const untilWaiting = (name: string, count = 1): Promise<void> =>
	until(`${count} wait for ${name}`, () => waitersOf(name) === count);

/**
 * How many were inside at once, at most, by the lines of a log: see test/peers/sem-peer.c. Whoever is killed is out from
 * the line `killed PID` on, which is written before the kill.
 */
export function mostInside(log: string): number {
	const inside = new Set<string>();
	const killed = new Set<string>();
	let most = 0;
	for (const line of log.split('\n').slice(0, -1)) {
		const [what, pid] = line.split(' ') as [string, string];
		if (what === 'killed') killed.add(pid);
		if (what === 'in' && !killed.has(pid)) inside.add(pid);
		else inside.delete(pid);
		most = Math.max(most, inside.size);
	}
	return most;
}
