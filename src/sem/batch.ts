import {Deadline} from '../common/deadline.js';
import {printable, SystemError, UsageError} from '../common/errors.js';
import {done, EndBySignal, failed} from '../common/exit.js';
import {duration} from '../common/formats/duration.js';
import {formatAddress} from '../common/formats/object-name.js';
import {wholeNumber} from '../common/formats/text-format.js';
import {readInput} from '../common/input.js';
import {expectInput, print, stdout} from '../common/output.js';
import {SIGPIPE, stopOnSignals} from '../common/process/signals.js';
import {verb} from '../common/verb.js';
import {endIfBroken, eventsOf} from '../common/waiting.js';
import {mostUnits, Semaphore, semaphoreName} from '../objects/semaphore/semaphore.js';

const readBytes = 65_536;
/** A line is a word, a name of 251 bytes and a number. */
const mostLineBytes = 4096;
/** Lines repeat: the meanings of this many different lines are kept. */
const mostRemembered = 1000;
/** While we wait, the reader of our answers may leave. */
const lookAgainMs = 1000;

/** What one line asks for; the answer is a line without its newline. */
type Request = (semaphores: OpenSemaphores) => string;

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
	run() {
		expectInput();
		const meanings = new Map<string, Request>();
		const buffer = Buffer.allocUnsafe(readBytes);
		using semaphores = new OpenSemaphores();
		let failures = 0;
		// As latin1, a byte a character: that is the fastest, and loses nothing.
		const answer = (line: string): void => {
			let request = meanings.get(line);
			if (!request) {
				request = understand(line);
				if (meanings.size >= mostRemembered) meanings.clear();
				if (line.length <= mostLineBytes) meanings.set(line, request);
			}
			const reply = request(semaphores);
			if (reply.startsWith('error ')) failures++;
			if (reply !== '') semaphores.answers.push(reply);
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
			for (const line of lines) answer(line);
		}
		// A last line without its newline is a line.
		answer(unfinished);
		semaphores.flush();
		return failures > 0 ? failed : done;
	},
});

/** The open semaphores that lines have named, and the answers that have not been written yet. */
class OpenSemaphores implements Disposable {
	readonly answers: string[] = [];
	private readonly open = new Map<string, {semaphore: Semaphore; isChecked: boolean}>();
	private stopsOnSignals = false;

	/** Writes the answers now: a process that waits for an answer must not have to send the next line first. */
	flush(): void {
		if (this.answers.length > 0) print(`${this.answers.join('\n')}\n`);
		this.answers.length = 0;
		// Between two reads a semaphore may have been removed and made again.
		for (const entry of this.open.values()) entry.isChecked = false;
	}

	find(key: string): Semaphore {
		const entry = this.open.get(key);
		if (entry && (entry.isChecked || !entry.semaphore.isRemoved)) {
			entry.isChecked = true;
			return entry.semaphore;
		}
		entry?.semaphore.close();
		this.open.delete(key);
		const semaphore = Semaphore.open(key);
		this.open.set(key, {semaphore, isChecked: true});
		return semaphore;
	}

	wait(semaphore: Semaphore, timeoutMs: number): boolean {
		if (semaphore.tryWait()) return true;
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

	[Symbol.dispose](): void {
		for (const {semaphore} of this.open.values()) semaphore.close();
	}
}

const count = wholeNumber(1, mostUnits);

function understand(line: string): Request {
	const [word, ...rest] = Buffer.from(line, 'latin1')
		.toString()
		.replace(/^[ \t]+|[ \t]+$/g, '')
		.split(/[ \t]+/) as [string, ...string[]];
	if (word === '' || word.startsWith('#')) return () => '';
	const refuse = (why: string): Request => {
		return () => `error ${printable(why)}`;
	};
	if (line.length > mostLineBytes) return refuse(`the line is longer than ${mostLineBytes} bytes`);
	try {
		const most = word === 'value' ? 1 : 2;
		const known = ['wait', 'acquire', 'post', 'release', 'notify', 'value'];
		if (!known.includes(word)) return refuse(`unknown command '${word}' (commands: wait, post, value)`);
		if (rest[0] === undefined) return refuse(`NAME is missing: ${word} NAME`);
		if (rest.length > most) return refuse(`'${rest[most]}' is one word too many`);
		const name = formatAddress(semaphoreName.parse(rest[0]));
		if (word === 'value') return guarded((semaphores) => String(semaphores.find(name).value));
		if (word === 'wait' || word === 'acquire') {
			const timeoutMs = rest[1] === undefined ? -1 : duration.parse(rest[1]);
			const otherwise = timeoutMs === 0 ? 'busy' : 'timeout';
			return guarded((semaphores) => (semaphores.wait(semaphores.find(name), timeoutMs) ? 'ok' : otherwise));
		}
		const units = rest[1] === undefined ? 1 : count.parse(rest[1]);
		return guarded((semaphores) => {
			semaphores.find(name).post(units);
			return 'ok';
		});
	} catch (error) {
		if (error instanceof UsageError) return refuse(error.message);
		throw error;
	}
}

/** A failure is an answer like any other. */
const guarded =
	(request: Request): Request =>
	(semaphores) => {
		try {
			return request(semaphores);
		} catch (error) {
			if (error instanceof SystemError) return `error ${printable(error.message)}`;
			throw error;
		}
	};
