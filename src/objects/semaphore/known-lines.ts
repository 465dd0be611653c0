import {native, type SemaphoreHandle} from '../../native/index.js';
import type {Semaphore} from './semaphore.js';

/** What a line asks for, as the native layer counts it. */
const kinds = {wait: 0, post: 1, value: 2} as const;

/** As the native layer has them: see `semLines` in native/index.ts. */
const mostLines = 16;
const keyBytes = 256;
const numbersALine = 4;

/**
 * The first lines that were met, each a wait, a post or a question for the value: from the second time on they are answered in
 * C, many in one call, as long as nothing has to wait and nothing fails.
 */
export class KnownLines {
	private readonly keys = Buffer.alloc(mostLines * keyBytes);
	private readonly numbers = new Int32Array(mostLines * numbersALine);
	private readonly known = new Set<string>();
	private readonly handles = new Map<string, SemaphoreHandle>();

	/** @param line as latin1, without its newline. @param units of a post. */
	learn(line: string, kind: keyof typeof kinds, name: string, {handle}: Semaphore, units = 0): void {
		const at = this.known.size;
		if (at === mostLines || line.length > keyBytes || this.known.has(line)) return;
		this.known.add(line);
		this.keys.set(Buffer.from(line, 'latin1'), at * keyBytes);
		this.handles.set(name, handle);
		const index = [...this.handles.keys()].indexOf(name);
		this.numbers.set([line.length, kinds[kind], units, index], at * numbersALine);
	}

	has(line: string): boolean {
		return this.known.has(line);
	}

	/** The semaphores that the lines are about. */
	get names(): Iterable<string> {
		return this.handles.keys();
	}

	/** Handles lines from `start` on; returns how many bytes, and where the answers end. */
	run(bytes: Buffer, start: number, end: number, answers: Buffer, filled: number): {used: number; filled: number} {
		const rows = this.numbers.subarray(0, this.known.size * numbersALine);
		return native.semLines(bytes, start, end, this.keys, rows, [...this.handles.values()], answers, filled);
	}

	/** From now on no line is known: a name may stand for another semaphore. */
	forget(): void {
		this.known.clear();
		this.handles.clear();
	}
}
