import {Socket} from 'node:net';
import {createInbox, headers, type Msg, type NatsConnection} from '@nats-io/transport-node';
import {longestSilenceMs, signIntervalMs, signsHeader, subjectOf, workingStatus} from '../../calls/format.js';
import type {RefusalData} from '../../protocol.js';
import type {Connection} from '../connection.js';
import {refusalOf} from '../errors.js';

const newline = 10;
const lineEnd = Buffer.from('\n');
const decoder = new TextDecoder('utf-8', {fatal: true});

/** A call without an answer. */
interface OpenCall {
	/** As the request has it. */
	id: unknown;
	heardAt: number;
}

/**
 * The client's side of calls: each line that comes from a socket is a request, and goes to one of the servers; the answers come back
 * through the socket.
 */
export class CallClient {
	/** Why no more answers come. */
	problem: RefusalData | undefined;
	private readonly inbox = createInbox();
	private readonly open = new Map<string, OpenCall>();
	private readonly socket: Socket;
	private readonly wish = headers();
	private readonly subject: string;
	private readonly looking: NodeJS.Timeout | undefined;
	private rest: Buffer[] = [];
	private passing: Uint8Array[] = [];
	private lastNumber = 0;
	private readonly hasSentAll: Promise<void>;

	constructor(
		private readonly connection: Connection,
		private readonly client: NatsConnection,
		name: string,
		/** Owned by the client from here on. */
		descriptor: number,
		private readonly asksForSigns: boolean,
	) {
		this.subject = subjectOf(name);
		this.wish.set(signsHeader, `${signIntervalMs}ms`);
		this.socket = new Socket({fd: descriptor, readable: true, writable: true, allowHalfOpen: true});
		client.subscribe(`${this.inbox}.*`, {
			callback: (error, message) => (error ? this.failBy(error) : this.takeAnswer(message)),
		});
		connection.onDenied.add((error) => {
			if ([this.subject, `${this.inbox}.*`].includes(error.subject)) this.failBy(error);
		});
		if (asksForSigns) this.looking = setInterval(() => this.lookForSigns(), 1000);
		connection.onReconnect.add(() => {
			for (const call of this.open.values()) call.heardAt = performance.now();
		});
		this.socket.on('error', () => {});
		this.hasSentAll = new Promise((resolve) => this.socket.on('end', resolve));
		this.socket.on('data', (piece: Buffer) => this.takeRequests(piece));
	}

	/** Waits until the server has all requests; by then the server has also told whether no process took one. */
	async confirm(): Promise<void> {
		await this.hasSentAll;
		await this.client.flush();
	}

	private takeRequests(piece: Buffer): void {
		let start = 0;
		let hasNotifications = false;
		for (let end = piece.indexOf(newline); end >= 0; end = piece.indexOf(newline, start)) {
			const last = piece.subarray(start, end);
			const line = this.rest.length > 0 ? Buffer.concat([...this.rest, last]) : last;
			this.rest = [];
			start = end + 1;
			if (line.length > 0 && !this.ask(line)) hasNotifications = true;
		}
		if (start < piece.length) this.rest.push(piece.subarray(start));
		if (!hasNotifications) return;
		// Nothing else holds back a sender that waits for no answers.
		this.socket.pause();
		void this.client.flush().then(() => this.socket.resume());
	}

	/** Whether it gets an answer. */
	private ask(line: Buffer): boolean {
		const id = idOf(line);
		if (this.problem) return true;
		const most = this.client.info?.max_payload ?? Number.POSITIVE_INFINITY;
		if (line.length > most) {
			this.fail({
				reason: 'too-large',
				text: `the call has ${line.length} bytes and the server takes ${most} (its max_payload)`,
			});
			return true;
		}
		const token = String(++this.lastNumber);
		if (id !== undefined) this.open.set(token, {id, heardAt: performance.now()});
		this.client.publish(this.subject, line, {
			reply: `${this.inbox}.${token}`,
			...(this.asksForSigns && id !== undefined ? {headers: this.wish} : {}),
		});
		return id !== undefined;
	}

	private takeAnswer({subject, data, headers: head}: Msg): void {
		if (head?.code === 503) {
			this.fail({reason: 'no-server', text: 'no process serves it'});
			return;
		}
		const token = subject.slice(this.inbox.length + 1);
		const call = this.open.get(token);
		if (!call) return;
		if (head?.code === workingStatus) {
			call.heardAt = performance.now();
			return;
		}
		this.open.delete(token);
		// There is one answer to a call: where this is none, none comes.
		const why = whyNoAnswer(data, call.id);
		if (why) this.fail({reason: 'invalid', text: `its answer is not valid: ${why}`});
		else this.pass(data);
	}

	/** Answers that arrived together are written together. */
	private pass(answer: Uint8Array): void {
		this.passing.push(answer, lineEnd);
		if (this.passing.length === 2) process.nextTick(() => this.writePassing());
	}

	private writePassing(): void {
		if (this.passing.length > 0) this.socket.write(Buffer.concat(this.passing));
		this.passing = [];
	}

	private lookForSigns(): void {
		if (!this.connection.isConnected) return;
		const now = performance.now();
		for (const {heardAt} of this.open.values())
			if (now - heardAt > longestSilenceMs)
				this.fail({
					reason: 'silent',
					text: `the process that serves it has been silent for ${longestSilenceMs / 1000} s; whether the call was carried out is not known (--timeout waits longer)`,
				});
	}

	private failBy(error: Error): void {
		this.fail(refusalOf(error) ?? {reason: 'other', text: error.message});
	}

	/** The answers before it still reach the client. */
	private fail(problem: RefusalData): void {
		if (this.problem) return;
		this.problem = problem;
		this.open.clear();
		clearInterval(this.looking);
		this.writePassing();
		this.socket.end();
	}
}

const commonEnd = Buffer.from(',"id":');
const mostDigits = 15;

/**
 * The id of a request, undefined for a notification. Most end with it, as a number: the brace that closes the line belongs to the
 * request itself, and so does the member before it.
 */
function idOf(line: Buffer): unknown {
	const at = line.length - 1 - mostDigits - commonEnd.length;
	const end = line.toString('latin1', Math.max(0, at));
	const [, digits] = /,"id":([0-9]+)\}$/.exec(end) ?? [];
	if (digits !== undefined) return Number(digits);
	return (JSON.parse(line.toString()) as {id?: unknown}).id;
}

/** Why these bytes are not the answer to a call with this id; undefined when they are. */
function whyNoAnswer(data: Uint8Array, id: unknown): string | undefined {
	if (data.length === 0) return 'it is empty';
	let value: {id?: unknown; error?: unknown} | null;
	try {
		value = JSON.parse(decoder.decode(data));
	} catch {
		return 'it is not JSON';
	}
	const shown = () => JSON.stringify(value).slice(0, 60);
	if (typeof value !== 'object' || value === null || Array.isArray(value)) return `it is ${shown()}`;
	if (!('result' in value) && !('error' in value)) return `${shown()} has neither a result nor an error`;
	const hasNoId = value.id === undefined || value.id === null;
	// Of a call that could not be read the server cannot tell the id.
	if (hasNoId && value.error !== undefined && value.error !== null) return undefined;
	if (value.id !== id) return `it has the id ${JSON.stringify(value.id)}, and the call had ${JSON.stringify(id)}`;
	return undefined;
}
