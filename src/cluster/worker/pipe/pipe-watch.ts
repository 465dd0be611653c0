import type {PipeSubject} from '../../../objects/fifo/pipes.js';
import {newsSubject, type PipeEvent, streamOf, subjectOf} from '../../pipe/format.js';
import {type Connection, sleep} from '../connection.js';

/** A confirmation is heard before the leader has removed the message. */
const firstLookMs = 25;
/** Some changes are not heard of: users that leave, and what the permissions of this user hide. */
const slowestLookMs = 2000;
/** One look serves for all that happens meanwhile. */
const restMs = 10;

/** Hears what may change one pipe, and takes no message from it. */
export class PipeWatch {
	private readonly events = new Set<PipeEvent>();
	private wake = (): void => {};
	private lookAgainMs = firstLookMs;

	constructor(
		private readonly connection: Connection,
		private readonly name: string,
		private readonly subject: PipeSubject,
	) {
		connection.onReconnect.add(() => this.hear('other'));
	}

	/** Returns once the server knows what is to be heard. */
	async begin(): Promise<void> {
		const {name} = this;
		// Made, changed, purged and removed.
		await this.listen(`$JS.EVENT.ADVISORY.STREAM.*.${streamOf(name)}`, () => 'other');
		if (this.subject === 'users') await this.listen(newsSubject(name), wordOf);
		if (this.subject === 'empty') await this.listen(`$JS.ACK.${streamOf(name)}.>`, () => 'other');
		if (this.subject === 'data') await this.listenForData();
		await (await this.connection.client()).flush();
	}

	/** What may not be heard is looked for by the clock. */
	private async listen(subject: string, eventOf: (text: string) => PipeEvent): Promise<void> {
		const client = await this.connection.client();
		client.subscribe(subject, {
			callback: (error, message) => {
				if (!error) this.hear(eventOf(message.string()));
			},
		});
	}

	/** One message is enough to know. */
	private async listenForData(): Promise<void> {
		const client = await this.connection.client();
		client.subscribe(subjectOf(this.name), {
			max: 1,
			callback: (error) => {
				if (!error) this.hear('data');
			},
		});
	}

	private hear(event: PipeEvent): void {
		this.events.add(event);
		this.lookAgainMs = firstLookMs;
		this.wake();
	}

	/** What has happened since the last time. Waits until something has, or it is time to look. */
	async next(timeoutMs: number): Promise<PipeEvent[]> {
		const {signal} = this.connection.closing;
		const end = performance.now() + timeoutMs;
		await sleep(Math.min(restMs, timeoutMs), signal);
		if (this.events.size === 0) {
			const over = new AbortController();
			const heard = new Promise<void>((resolve) => {
				this.wake = resolve;
			});
			signal.addEventListener('abort', () => over.abort(), {once: true});
			await Promise.race([heard, sleep(Math.min(this.lookAgainMs, Math.max(0, end - performance.now())), over.signal)]);
			over.abort();
			if (this.events.size === 0) this.lookAgainMs = Math.min(2 * this.lookAgainMs, slowestLookMs);
		}
		const events = [...this.events];
		this.events.clear();
		return events;
	}
}

const wordOf = (text: string): PipeEvent => (text === 'reader' || text === 'writer' ? text : 'other');
