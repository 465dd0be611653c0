import {Kvm, type KvWatchEntry} from '@nats-io/kv';
import {bucket, type News} from '../../segment/format.js';
import {type Connection, sleep} from '../connection.js';
import {refuse} from '../errors.js';
import type {SegmentStore} from './segment-store.js';

const restartMs = 250;

/** Follows one key: its revisions as the server stores them. */
export class SegmentFollower {
	private readonly news: News[] = [];
	private wake = (): void => {};
	private problem: unknown;

	constructor(
		private readonly connection: Connection,
		private readonly store: SegmentStore,
		private readonly name: string,
	) {
		void this.follow().catch((error) => {
			this.problem = error;
			this.wake();
		});
	}

	private async follow(): Promise<void> {
		while (!this.connection.closing.signal.aborted) {
			await this.store.prepare();
			const kv = await new Kvm(await this.connection.jetStream()).open(bucket);
			// Begins with the last revision, so that none is missed before or between.
			for await (const entry of await kv.watch({key: this.name, headers_only: true})) this.take(entry);
			await sleep(restartMs, this.connection.closing.signal);
		}
	}

	private take({revision, operation}: KvWatchEntry): void {
		this.news.push({revision, isRemoved: operation !== 'PUT'});
		this.wake();
	}

	/** The first one after that revision; undefined when there was none in time (negative: without limit). */
	async next(after: number, timeoutMs: number): Promise<News | undefined> {
		const end = timeoutMs < 0 ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
		for (;;) {
			for (let first = this.news.shift(); first; first = this.news.shift()) if (first.revision > after) return first;
			if (this.problem) throw this.problem;
			const {signal} = this.connection.closing;
			if (signal.aborted) return refuse('closed', 'the connection has been closed');
			const left = end - performance.now();
			if (left <= 0) return undefined;
			const woken = new Promise<void>((resolve) => {
				this.wake = resolve;
			});
			await Promise.race([woken, sleep(Math.min(left, 2 ** 31 - 1), signal)]);
		}
	}
}
