import {Deadline} from '../common/deadline.js';
import {hasCode, printable, SystemError, UsageError} from '../common/errors.js';
import {done, EndBySignal, failed} from '../common/exit.js';
import type {Address} from '../common/formats/object-name.js';
import {readInput} from '../common/input.js';
import {expectInput, print, stdout} from '../common/output.js';
import {SIGPIPE, stopOnSignals} from '../common/process/signals.js';
import {verb} from '../common/verb.js';
import {endIfBroken, eventsOf} from '../common/waiting.js';
import type {AnySemaphore} from '../objects/semaphore/any-semaphore.js';
import {KnownLines} from '../objects/semaphore/known-lines.js';
import {Semaphore} from '../objects/semaphore/semaphore.js';
import {semaphoresAt} from '../objects/semaphore/semaphores.js';
import {about} from './about.js';
import {mostLineBytes, type Request, understand} from './batch-request.js';

const readBytes = 65_536;
/** Lines repeat: the meanings of this many different lines are kept. */
const mostRemembered = 1000;
/** While we wait, the reader of our answers may leave. */
const lookAgainMs = 1000;
const newline = 10;

export const batch = verb({
	summary: 'Read a command per line (wait, post, value) and print an answer per line',
	examples: [
		{
			purpose: 'run several commands in one process',
			line: "printf 'post jobs\\nwait jobs 2s\\nvalue jobs\\n' | ipc-sem batch",
		},
	],
	// A line may name a semaphore on a cluster, when lines before it have been read.
	needsNode: true,
	cluster: 'input',
	async run() {
		expectInput();
		const buffer = Buffer.allocUnsafe(readBytes);
		using answering = new Answering();
		let filled = 0;
		for (;;) {
			answering.flush();
			const count = readInput(buffer, filled, stdout);
			if (count === 'gone') throw new EndBySignal(SIGPIPE);
			if (count === 0) break;
			filled += count;
			const used = await answering.answerAll(buffer, filled);
			buffer.copyWithin(0, used, filled);
			// Of a line that is too long, this much is enough to know that.
			filled = Math.min(filled - used, mostLineBytes + 1);
		}
		// A last line without its newline is a line.
		await answering.answer(buffer.toString('latin1', 0, filled));
		answering.flush();
		return answering.hasFailed ? failed : done;
	},
});

/** The open semaphores that lines have named, and the answers that have not been written yet. */
class Answering implements Disposable {
	hasFailed = false;
	private readonly answers = Buffer.allocUnsafe(readBytes);
	private filled = 0;
	private readonly open = new Map<string, {semaphore: AnySemaphore; isChecked: boolean}>();
	private readonly known = new KnownLines();
	private readonly meanings = new Map<string, Request>();
	private stopsOnSignals = false;
	private hasCluster = false;

	/** Answers all whole lines; returns where they end. */
	async answerAll(bytes: Buffer, end: number): Promise<number> {
		for (let at = 0; ; ) {
			const length = bytes.subarray(at, end).indexOf(newline);
			if (length < 0) return at;
			const line = bytes.toString('latin1', at, at + length);
			const used = this.known.has(line) ? this.runKnown(bytes, at, end) : 0;
			const loading = used === 0 ? this.answer(line) : undefined;
			if (loading) await loading;
			at += used > 0 ? used : length + 1;
		}
	}

	/** How many bytes of lines were answered: none where the first of them has to wait or fails. */
	private runKnown(bytes: Buffer, start: number, end: number): number {
		// The known lines are about the semaphores that have these names now.
		for (const name of this.known.names) {
			const entry = this.open.get(name);
			if (!entry || (!entry.isChecked && isRemoved(entry.semaphore))) {
				this.known.forget();
				return 0;
			}
			entry.isChecked = true;
		}
		const {used, filled} = this.known.run(bytes, start, end, this.answers, this.filled);
		this.filled = filled;
		return used;
	}

	/** @param line as latin1, without its newline. The first one about a cluster has to be waited for. */
	answer(line: string): Promise<void> | undefined {
		const request = this.meaningOf(line);
		if (request.kind === 'nothing') return undefined;
		if ('address' in request && request.address.kind === 'cluster' && !this.hasCluster) {
			this.hasCluster = true;
			return about.loadCluster?.().then(() => this.answer(line));
		}
		let reply: string;
		try {
			reply = this.replyTo(request, line);
		} catch (error) {
			// A failure is an answer like any other.
			if (!(error instanceof SystemError || error instanceof UsageError)) throw error;
			reply = `error ${printable(error.message)}`;
		}
		this.hasFailed ||= reply.startsWith('error ');
		this.push(`${reply}\n`);
		return undefined;
	}

	private meaningOf(line: string): Request {
		let meaning = this.meanings.get(line);
		if (meaning) return meaning;
		meaning = understand(line);
		if (this.meanings.size >= mostRemembered) this.meanings.clear();
		if (line.length <= mostLineBytes) this.meanings.set(line, meaning);
		return meaning;
	}

	private replyTo(request: Exclude<Request, {kind: 'nothing'}>, line: string): string {
		if (request.kind === 'refused') return `error ${request.why}`;
		const {kind, name, address} = request;
		const semaphore = this.find(name, address);
		if (semaphore instanceof Semaphore)
			this.known.learn(line, kind, name, semaphore, kind === 'post' ? request.units : 0);
		if (kind === 'value') return String(semaphore.value);
		if (kind === 'wait') {
			if (this.wait(semaphore, request.timeoutMs)) return 'ok';
			return request.timeoutMs === 0 ? 'busy' : 'timeout';
		}
		semaphore.post(request.units);
		return 'ok';
	}

	private push(line: string): void {
		const bytes = Buffer.from(line);
		if (this.filled + bytes.length > this.answers.length) this.flush();
		this.answers.set(bytes, this.filled);
		this.filled += bytes.length;
	}

	/** Writes the answers now: a process that waits for an answer must not have to send the next line first. */
	flush(): void {
		if (this.filled > 0) print(this.answers.subarray(0, this.filled));
		this.filled = 0;
		// Between two reads a semaphore may have been removed and made again.
		for (const entry of this.open.values()) entry.isChecked = false;
	}

	private find(name: string, address: Address): AnySemaphore {
		const entry = this.open.get(name);
		if (entry && (entry.isChecked || !isRemoved(entry.semaphore))) {
			entry.isChecked = true;
			return entry.semaphore;
		}
		if (entry) {
			this.known.forget();
			entry.semaphore[Symbol.dispose]();
			this.open.delete(name);
		}
		const semaphore = semaphoresAt(address).open(address);
		this.open.set(name, {semaphore, isChecked: true});
		return semaphore;
	}

	private wait(semaphore: AnySemaphore, timeoutMs: number): boolean {
		if (semaphore.tryWait()) return true;
		if (!(semaphore instanceof Semaphore)) return timeoutMs !== 0 && this.waitOnCluster(semaphore, timeoutMs);
		if (timeoutMs === 0) return semaphore.reap() > 0 && semaphore.tryWait();
		this.flush();
		if (!this.stopsOnSignals) stopOnSignals();
		this.stopsOnSignals = true;
		const deadline = new Deadline(timeoutMs);
		for (;;) {
			if (semaphore.wait(deadline.waitMs(lookAgainMs))) return true;
			if (deadline.hasPassed) return false;
			endIfBroken(eventsOf(stdout, 0, 0));
		}
	}

	private waitOnCluster(semaphore: AnySemaphore, timeoutMs: number): boolean {
		this.flush();
		try {
			return semaphore.wait(timeoutMs, stdout);
		} catch (error) {
			if (hasCode(error, 'EPIPE')) throw new EndBySignal(SIGPIPE);
			throw error;
		}
	}

	[Symbol.dispose](): void {
		for (const {semaphore} of this.open.values()) semaphore[Symbol.dispose]();
	}
}

/** On a cluster each request finds the semaphore by its name. */
const isRemoved = (semaphore: AnySemaphore): boolean => semaphore instanceof Semaphore && semaphore.isRemoved;
