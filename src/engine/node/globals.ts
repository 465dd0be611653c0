import {Buffer} from './buffer.js';
import {host} from './host.js';
import {process} from './process.js';

/** What Node has without an import. Imported first, by every command. */

class TextDecoder {
	constructor(
		_label = 'utf-8',
		private readonly options: {fatal?: boolean; ignoreBOM?: boolean} = {},
	) {}

	decode(bytes: Uint8Array = new Uint8Array()): string {
		if (this.options.fatal && !host.isUtf8(bytes))
			throw Object.assign(new TypeError('The encoded data was not valid for encoding utf-8'), {
				code: 'ERR_ENCODING_INVALID_ENCODED_DATA',
			});
		const hasMark = !this.options.ignoreBOM && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
		return host.decodeUtf8(bytes, hasMark ? 3 : 0, bytes.length);
	}
}

/** As Node's: the host runs what is due whenever nothing else is left to do. */
class Timer {
	dueMs: number;
	keepsRunning = true;

	constructor(
		private readonly everyMs: number,
		private readonly repeats: boolean,
		private readonly work: () => void,
	) {
		this.dueMs = host.now() + everyMs;
		timers.add(this);
	}

	unref(): this {
		this.keepsRunning = false;
		return this;
	}

	ref(): this {
		this.keepsRunning = true;
		return this;
	}

	run(): void {
		if (this.repeats) this.dueMs = host.now() + this.everyMs;
		else timers.delete(this);
		this.work();
	}
}

const timers = new Set<Timer>();

const addTimer = (work: () => void, ms = 0, repeats = false): Timer => new Timer(Math.max(1, ms), repeats, work);
const removeTimer = (timer: Timer): void => void timers.delete(timer);

/** Runs the timer that is due first, sleeping until then; false when none keeps the process running. Called by the host. */
function runTimer(): boolean {
	let first: Timer | undefined;
	let isNeeded = false;
	for (const timer of timers) {
		if (!first || timer.dueMs < first.dueMs) first = timer;
		isNeeded ||= timer.keepsRunning;
	}
	if (!first || !isNeeded) return false;
	const leftMs = first.dueMs - host.now();
	if (leftMs > 0) host.sleep(Math.ceil(leftMs));
	first.run();
	return true;
}

Object.assign(globalThis, {
	global: globalThis,
	Buffer,
	process,
	TextDecoder,
	performance: {
		now: host.now,
		get timeOrigin() {
			return host.wallClock() - host.now();
		},
	},
	setTimeout: (work: () => void, ms?: number) => addTimer(work, ms),
	setInterval: (work: () => void, ms?: number) => addTimer(work, ms, true),
	setImmediate: (work: () => void) => addTimer(work),
	clearTimeout: removeTimer,
	clearInterval: removeTimer,
	clearImmediate: removeTimer,
	runTimer,
});
