import {countOf, quoted} from '../../common/errors.js';
import type {ClusterAddress} from '../../common/formats/cluster-address.js';
import type {PipeFeed} from '../../objects/fifo/pipe.js';
import {type Channel, closeChannel, openChannel} from '../channel.js';
import {attemptOnCluster} from '../refusal.js';
import type {PipeMethods} from '../worker/pipe/pipe.js';
import {longestWindow, type SendLimits} from './format.js';

/** A pipe on a cluster that is written to beside other outputs. Small pieces that wait for their turn are sent together. */
export class ClusterFeed implements PipeFeed {
	readonly cleansUp = true;
	stored = 0;
	private readonly channel: Channel;
	private readonly limits: SendLimits;
	/** Not under way; none is larger than a message. */
	private pieces: Uint8Array[] = [];
	private held = 0;
	private readonly underWay: {call: number; bytes: number}[] = [];
	private isOver = false;

	constructor(private readonly address: ClusterAddress) {
		this.channel = openChannel(address);
		try {
			this.limits = this.attempt('open', () =>
				this.channel.call<PipeMethods, 'pipeOpenToSend'>('pipeOpenToSend', [address.name, {}]),
			);
		} catch (error) {
			closeChannel(this.channel);
			throw error;
		}
	}

	get shownName(): string {
		return this.address.shown;
	}

	get descriptor(): number {
		return this.channel.descriptor;
	}

	get waiting(): number {
		return this.held + this.underWay.reduce((sum, {bytes}) => sum + bytes, 0);
	}

	private attempt<Result>(what: string, call: () => Result): Result {
		return attemptOnCluster(`cannot ${what} ${quoted(this.shownName)}`, call);
	}

	connect(timeoutMs: number): boolean {
		return this.attempt('send to', () =>
			this.channel.call<PipeMethods, 'pipeFindReader'>('pipeFindReader', [this.address.name, timeoutMs]),
		);
	}

	give(bytes: Uint8Array): void {
		const {chunkBytes} = this.limits;
		for (let at = 0; at < bytes.length; at += chunkBytes)
			this.pieces.push(new Uint8Array(bytes.subarray(at, at + chunkBytes)));
		this.held += bytes.length;
		this.send();
	}

	private send(): void {
		while (this.held > 0 && this.underWay.length < longestWindow) {
			const data = this.takeMessage();
			// Before its memory is handed over.
			const bytes = data.length;
			const call = this.channel.begin<PipeMethods, 'pipeSend'>(
				'pipeSend',
				[this.address.name, data, Uint32Array.of(bytes), -1],
				[data.buffer as ArrayBuffer],
			);
			this.underWay.push({call, bytes});
			this.held -= bytes;
		}
	}

	/** The next pieces, as many as fit into a message. */
	private takeMessage(): Uint8Array {
		let total = 0;
		let count = 0;
		for (const {length} of this.pieces) {
			total += length;
			if (total > this.limits.chunkBytes) break;
			count++;
		}
		const pieces = this.pieces.splice(0, count);
		return pieces.length === 1 ? (pieces[0] as Uint8Array) : new Uint8Array(Buffer.concat(pieces));
	}

	settle(): void {
		this.channel.settle();
	}

	takeNews(): void {
		for (let [first] = this.underWay; first && this.channel.hasAnswer(first.call); [first] = this.underWay) {
			const {call, bytes} = first;
			this.underWay.shift();
			attemptOnCluster(`cannot send to ${quoted(this.shownName)} (${countOf(this.stored, 'byte')} stored)`, () =>
				this.channel.finish<PipeMethods, 'pipeSend'>(call),
			);
			this.stored += bytes;
		}
		this.send();
	}

	finish(timeoutMs: number): boolean {
		const {problem} = this.attempt('send to', () =>
			this.channel.call<PipeMethods, 'pipeEnd'>('pipeEnd', [this.address.name, timeoutMs]),
		);
		return problem === '';
	}

	abandon(): void {
		this.pieces = [];
		this.held = 0;
		this.underWay.length = 0;
		this.channel.tell<PipeMethods, 'pipeAbandon'>('pipeAbandon', [this.address.name]);
	}

	close(): void {
		if (this.isOver) return;
		this.isOver = true;
		this.channel.callAtEnd<PipeMethods, 'pipeLetGo'>('pipeLetGo', [this.address.name]);
		closeChannel(this.channel);
	}

	[Symbol.dispose](): void {
		this.close();
	}
}
