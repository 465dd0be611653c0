import {
	type ClusterUser,
	longestWindow,
	type Mark,
	markHeader,
	readMessageId,
	storedHeader,
} from '../../pipe/format.js';

/** Where a message lies on the server, and where to confirm it. */
export interface Receipt {
	/** Its number in the stream. */
	sequence: number;
	subject: string;
	/** Of the consumer that delivered it. */
	generation: number;
}

/** A message of a pipe. */
export interface Arrived {
	/** Its number among all that have come. */
	index: number;
	/** The newest: a message comes again after a lost connection. */
	receipt: Receipt;
	/** Where it lies as well, when the server has stored it more than once. */
	copies: Receipt[];
	sender: string;
	/** Its number among those of its sender. */
	number: number;
	/** Everything of its sender up to this number was stored when it was sent. */
	storedUpTo: number;
	mark: Mark | undefined;
	data: Uint8Array;
}

export interface Headers {
	get(name: string): string;
}

/** A message of another program counts as a sender of its own, with nothing more to come. */
export function readArrived(receipt: Receipt, headers: Headers | undefined, data: Uint8Array): Arrived {
	const id = readMessageId(headers?.get('Nats-Msg-Id') ?? '');
	const stored = headers?.get(storedHeader) ?? '';
	if (id === undefined || stored === '')
		return {
			index: 0,
			receipt,
			copies: [],
			sender: `message ${receipt.sequence}`,
			number: 0,
			storedUpTo: -1,
			mark: 'end',
			data,
		};
	const mark = headers?.get(markHeader);
	return {
		index: 0,
		receipt,
		copies: [],
		...id,
		storedUpTo: Number(stored),
		mark: mark ? (mark as Mark) : undefined,
		data,
	};
}

export const keyOf = ({sender, number}: Arrived): string => `${sender}:${number}`;

/** One sender, as its messages show it. */
export interface SenderState {
	readonly id: string;
	/** The number that is written next; undefined until it is known what an earlier reader has had. */
	next: number | undefined;
	/** What came before an earlier message. */
	readonly held: Map<number, Arrived>;
	isOpen: boolean;
	bytes: number;
	user: ClusterUser;
	lastHeardAt: number;
	/** Since when it does not answer. */
	missingSince: number | undefined;
}

/** Puts the messages of each sender in order, and leaves out those that have been there. */
export class PipeOrder {
	readonly senders = new Map<string, SenderState>();

	/**
	 * The messages whose turn has come, among them perhaps this one; undefined for one that has been there. A sender that has
	 * stopped early fills no gap any more: `dropped` is what lay behind one.
	 */
	take(arrived: Arrived): {ready: Arrived[]; dropped: Arrived[]} | undefined {
		const {number, storedUpTo, mark} = arrived;
		const sender = this.senderOf(arrived);
		sender.lastHeardAt = performance.now();
		sender.missingSince = undefined;
		if ((sender.next !== undefined && number < sender.next) || sender.held.has(number)) return undefined;
		sender.held.set(number, arrived);
		if (sender.next === undefined) {
			// What is missing before the first has been read, by a reader before us, once it is known to have been stored.
			const first = Math.min(...sender.held.keys());
			if (storedUpTo < first - 1 && mark !== 'left') return {ready: [], dropped: []};
			sender.next = first;
		}
		const ready = this.inTurn(sender);
		if (mark !== 'left') return {ready, dropped: []};
		if (!ready.includes(arrived)) ready.push(arrived);
		return {ready, dropped: this.dropHeld(sender).filter((each) => each !== arrived)};
	}

	/** What will never have its turn. */
	dropHeld(sender: SenderState): Arrived[] {
		const dropped = [...sender.held.values()];
		sender.held.clear();
		return dropped;
	}

	/** Per sender, the first of those that others wait for; none where an earlier reader may have had them. */
	missing(): {sender: string; numbers: number[]}[] {
		return [...this.senders.values()].flatMap(({id, next, held}) => {
			if (next === undefined || held.size === 0) return [];
			const between = Array.from({length: longestWindow}, (_, i) => next + i);
			const last = Math.max(...held.keys());
			return [{sender: id, numbers: between.filter((number) => number < last && !held.has(number))}];
		});
	}

	get heldCount(): number {
		return [...this.senders.values()].reduce((sum, {held}) => sum + held.size, 0);
	}

	private inTurn(sender: SenderState): Arrived[] {
		const ready: Arrived[] = [];
		for (let next = sender.next as number; ; next++) {
			const arrived = sender.held.get(next);
			if (!arrived) return ready;
			sender.held.delete(next);
			sender.next = next + 1;
			ready.push(arrived);
		}
	}

	private senderOf({sender: id, mark, data}: Arrived): SenderState {
		const known = this.senders.get(id);
		if (known) return known;
		const sender: SenderState = {
			id,
			next: undefined,
			held: new Map(),
			isOpen: true,
			bytes: 0,
			user: mark === 'begin' ? readUser(data) : {host: '', pid: 0, command: ''},
			lastHeardAt: 0,
			missingSince: undefined,
		};
		this.senders.set(id, sender);
		return sender;
	}
}

/** What a process says of itself. */
export function readUser(data: Uint8Array): ClusterUser {
	try {
		const {host, pid, command} = JSON.parse(Buffer.from(data).toString());
		return {host: String(host), pid: Number(pid), command: String(command)};
	} catch {
		return {host: '', pid: 0, command: ''};
	}
}

/** `1 2 3`: the messages that a reader misses. */
export const readNumbers = (text: string): number[] => (text === '' ? [] : text.split(' ').map(Number));

/** Which of the messages that a reader asks for again their sender does not have any more. */
export function readGone(answer: string): number[] {
	try {
		const {gone} = JSON.parse(answer) as {gone?: unknown};
		return Array.isArray(gone) ? gone.map(Number) : [];
	} catch {
		return [];
	}
}

/** What the server tells about a message in the subject that confirms it. */
export function readReply(reply: string | undefined): {sequence: number; number: number; pending: number} | undefined {
	// $JS.ACK, domain and account where there are any, stream, consumer, deliveries, the three numbers, time, pending.
	const parts = reply?.split('.') ?? [];
	const start = parts.length >= 11 ? 6 : 4;
	const [sequence, number, , pending] = parts.slice(start + 1).map(Number);
	if (sequence === undefined || number === undefined || pending === undefined) return undefined;
	return {sequence, number, pending};
}
