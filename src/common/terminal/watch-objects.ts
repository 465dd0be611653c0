import {POLLIN} from '../../native/index.js';
import {duration} from '../formats/duration.js';
import {count, json} from '../options.js';
import {isStdoutTerminal, outputSettings, printJson, stdout} from '../output.js';
import {endIfBroken, eventsOf, PollSet} from '../waiting.js';
import {Redraw} from './redraw.js';

const defaultIntervalMs = 250;
/** To look without a pause would take a whole processor. */
const leastIntervalMs = 10;

/** The options of every `watch`. */
export const watchOptions = {
	interval: {short: 'i', value: duration, help: 'time between two checks (default 250ms)'},
	count: {...count, help: 'stop after N changes'},
	json: {...json, help: 'print JSON lines on a terminal too'},
} as const;

export interface Watching<Status> {
	/** What there is now. */
	look(): Status[];
	/** Identifies an object among the others. */
	key(status: Status): string;
	/** A status without what may change although nothing happens to the object; the whole status where that is left out. */
	essence?(status: Status): unknown;
	/** What is printed for one that is there no more. */
	gone(key: string): object;
	/**
	 * Waits until there may be a change, at most that long (negative: without limit), where that is told; otherwise it is looked at
	 * again after the interval.
	 */
	wait?(mostMs: number): void;
	/** The whole screen. */
	draw(now: Status[]): string | Promise<string>;
}

/** Looks again and again: draws in place on a terminal, prints a JSON line per change elsewhere. */
export async function watchObjects<Status>(
	{look, key, essence = (status) => status, gone, wait, draw}: Watching<Status>,
	options: {interval: number | undefined; count: number | undefined; json: boolean},
): Promise<void> {
	const most = options.count ?? Number.POSITIVE_INFINITY;
	const intervalMs = Math.max(leastIntervalMs, options.interval ?? defaultIntervalMs);
	if (options.json || !isStdoutTerminal() || process.env.TERM === 'dumb') {
		const before = new Map<string, string>();
		const pause = () => {
			wait?.(-1);
			// The reader of our output may leave between two changes.
			endIfBroken(eventsOf(stdout, 0, wait ? 0 : intervalMs));
		};
		for (let changes = 0; ; pause()) {
			const now = new Map(look().map((status) => [key(status), status]));
			const news: object[] = [];
			for (const [name, status] of now) {
				const text = JSON.stringify(essence(status));
				if (before.get(name) !== text) news.push(status as object);
				before.set(name, text);
			}
			for (const name of [...before.keys()]) {
				if (now.has(name)) continue;
				before.delete(name);
				news.push(gone(name));
			}
			for (const change of news.slice(0, most - changes)) printJson(change);
			changes += news.length;
			if (changes >= most) return;
		}
	}
	using screen = new Redraw(`${outputSettings().command} watch`);
	const poll = new PollSet<'stdout' | 'keys'>();
	let before = '';
	for (let changes = 0; ; ) {
		const text = await draw(look());
		if (text !== before) changes++;
		before = text;
		screen.show(text);
		if (changes >= most) return;
		wait?.(intervalMs);
		poll.watch('stdout', stdout);
		poll.watch('keys', screen.keysFrom, POLLIN);
		poll.wait(wait ? 0 : intervalMs);
		endIfBroken(poll.eventsOf('stdout'));
		if (poll.eventsOf('keys') !== 0 && screen.isQuit) return;
	}
}
