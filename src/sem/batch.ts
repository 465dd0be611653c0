import {Deadline} from '../common/deadline.js';
import {hasCode, printable, SystemError, UsageError} from '../common/errors.js';
import {done, EndBySignal, failed} from '../common/exit.js';
import {duration} from '../common/formats/duration.js';
import {type Address, formatAddress} from '../common/formats/object-name.js';
import {wholeNumber} from '../common/formats/text-format.js';
import {readInput} from '../common/input.js';
import {expectInput, print, stdout} from '../common/output.js';
import {SIGPIPE, stopOnSignals} from '../common/process/signals.js';
import {verb} from '../common/verb.js';
import {endIfBroken, eventsOf} from '../common/waiting.js';
import type {AnySemaphore} from '../objects/semaphore/any-semaphore.js';
import {mostUnits, Semaphore} from '../objects/semaphore/semaphore.js';
import {semaphoreName, semaphoresAt} from '../objects/semaphore/semaphores.js';
import {about} from './about.js';

const readBytes = 65_536;
/** A line is a word, a name of 251 bytes and a number. */
const mostLineBytes = 4096;
/** Lines repeat: the meanings of this many different lines are kept. */
const mostRemembered = 1000;
/** While we wait, the reader of our answers may leave. */
const lookAgainMs = 1000;

/** What one line asks for; the answer is a line without its newline. */
interface Request {
	answer(semaphores: OpenSemaphores): string;
	isOnCluster?: boolean;
}

export const batch = verb({
	summary: 'Read a command per line (wait, post, value) and print an answer per line',
	examples: [
		{
			purpose: 'run several commands in one process',
			line: "printf 'post jobs\\nwait jobs 2s\\nvalue jobs\\n' | ipc-sem batch",
		},
	],
	// A quick engine pays off: a batch has as many lines as it likes.
	needsNode: true,
	cluster: 'input',
	async run() {
		expectInput();
		const meanings = new Map<string, Request>();
		const buffer = Buffer.allocUnsafe(readBytes);
		using semaphores = new OpenSemaphores();
		let failures = 0;
		let hasCluster = false;
		// As latin1, a byte a character: that is the fastest, and loses nothing.
		const answer = (line: string): Promise<void> | undefined => {
			let request = meanings.get(line);
			if (!request) {
				request = understand(line);
				if (meanings.size >= mostRemembered) meanings.clear();
				if (line.length <= mostLineBytes) meanings.set(line, request);
			}
			if (request.isOnCluster && !hasCluster) {
				hasCluster = true;
				return about.loadCluster?.().then(() => answer(line));
			}
			const reply = request.answer(semaphores);
			if (reply.startsWith('error ')) failures++;
			if (reply !== '') semaphores.answers.push(reply);
			return undefined;
		};
		let unfinished = '';
		for (;;) {
			semaphores.flush();
			const count = readInput(buffer, 0, stdout);
			if (count === 'gone') throw new EndBySignal(SIGPIPE);
			if (count === 0) break;
			const lines = (unfinished + buffer.toString('latin1', 0, count)).split('\n');
			// Of a line that is too long, this much is enough to know that.
			unfinished = (lines.pop() as string).slice(0, mostLineBytes + 1);
			for (const line of lines) {
				const loading = answer(line);
				if (loading) await loading;
			}
		}
		// A last line without its newline is a line.
		await answer(unfinished);
		semaphores.flush();
		return failures > 0 ? failed : done;
	},
});

/** The open semaphores that lines have named, and the answers that have not been written yet. */
class OpenSemaphores implements Disposable {
	readonly answers: string[] = [];
	private readonly open = new Map<string, {semaphore: AnySemaphore; isChecked: boolean}>();
	private stopsOnSignals = false;

	/** Writes the answers now: a process that waits for an answer must not have to send the next line first. */
	flush(): void {
		if (this.answers.length > 0) print(`${this.answers.join('\n')}\n`);
		this.answers.length = 0;
		// Between two reads a semaphore may have been removed and made again.
		for (const entry of this.open.values()) entry.isChecked = false;
	}

	find(key: string, address: Address): AnySemaphore {
		const entry = this.open.get(key);
		if (entry && (entry.isChecked || !isRemoved(entry.semaphore))) {
			entry.isChecked = true;
			return entry.semaphore;
		}
		entry?.semaphore[Symbol.dispose]();
		this.open.delete(key);
		const semaphore = semaphoresAt(address).open(address);
		this.open.set(key, {semaphore, isChecked: true});
		return semaphore;
	}

	wait(semaphore: AnySemaphore, timeoutMs: number): boolean {
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

const count = wholeNumber(1, mostUnits);

function understand(line: string): Request {
	const [word, ...rest] = Buffer.from(line, 'latin1')
		.toString()
		.replace(/^[ \t]+|[ \t]+$/g, '')
		.split(/[ \t]+/) as [string, ...string[]];
	if (word === '' || word.startsWith('#')) return {answer: () => ''};
	const refuse = (why: string): Request => {
		return {answer: () => `error ${printable(why)}`};
	};
	if (line.length > mostLineBytes) return refuse(`the line is longer than ${mostLineBytes} bytes`);
	try {
		const most = word === 'value' ? 1 : 2;
		const known = ['wait', 'acquire', 'post', 'release', 'notify', 'value'];
		if (!known.includes(word)) return refuse(`unknown command '${word}' (commands: wait, post, value)`);
		if (rest[0] === undefined) return refuse(`NAME is missing: ${word} NAME`);
		if (rest.length > most) return refuse(`'${rest[most]}' is one word too many`);
		const address = semaphoreName.parse(rest[0]);
		const isOnCluster = address.kind === 'cluster';
		const key = isOnCluster ? rest[0] : formatAddress(address);
		const request = (use: (semaphore: AnySemaphore, semaphores: OpenSemaphores) => string): Request => ({
			isOnCluster,
			answer: (semaphores) => guarded(() => use(semaphores.find(key, address), semaphores)),
		});
		if (word === 'value') return request((semaphore) => String(semaphore.value));
		if (word === 'wait' || word === 'acquire') {
			const timeoutMs = rest[1] === undefined ? -1 : duration.parse(rest[1]);
			const otherwise = timeoutMs === 0 ? 'busy' : 'timeout';
			return request((semaphore, semaphores) => (semaphores.wait(semaphore, timeoutMs) ? 'ok' : otherwise));
		}
		const units = rest[1] === undefined ? 1 : count.parse(rest[1]);
		return request((semaphore) => {
			semaphore.post(units);
			return 'ok';
		});
	} catch (error) {
		if (error instanceof UsageError) return refuse(error.message);
		throw error;
	}
}

/** A failure is an answer like any other. */
function guarded(answer: () => string): string {
	try {
		return answer();
	} catch (error) {
		if (error instanceof SystemError || error instanceof UsageError) return `error ${printable(error.message)}`;
		throw error;
	}
}
