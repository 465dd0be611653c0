import {Deadline} from '../../common/deadline.js';
import {hasCode, quoted, SystemError} from '../../common/errors.js';
import type {ClusterAddress} from '../../common/formats/cluster-address.js';
import {stdout} from '../../common/output.js';
import type {SegmentAccess} from '../../objects/segment/segment.js';
import type {ClusterSegment} from '../../objects/segment/segments.js';
import {bitsOf, checkAligned, checkWord, type WordType, widthOf, wordOf} from '../../objects/segment/word.js';
import {Words} from '../../objects/segment/words.js';
import {type Channel, closeChannel, openChannel} from '../channel.js';
import {attemptOnCluster} from '../refusal.js';
import type {SegmentMethods} from '../worker/segment/segment.js';
import type {Change, Changed, Contents} from './format.js';

/** A segment on a cluster. What is read is of one revision; a change is made in one step, of the last one. */
export class SegmentOnCluster extends Words implements ClusterSegment {
	/** What was read last. */
	private contents: Contents | undefined;

	private constructor(
		private readonly address: ClusterAddress,
		private readonly channel: Channel,
		private knownSize: number,
	) {
		super();
	}

	/** @throws Refusal `no-such` where it does not exist. */
	static open(address: ClusterAddress, access: SegmentAccess): SegmentOnCluster {
		const channel = openChannel(address);
		try {
			const contents =
				access === 'read' ? channel.call<SegmentMethods, 'segmentRead'>('segmentRead', [address.name]) : undefined;
			const size = contents?.bytes.length ?? channel.call<SegmentMethods, 'segmentSize'>('segmentSize', [address.name]);
			const segment = new SegmentOnCluster(address, channel, size);
			segment.contents = contents;
			return segment;
		} catch (error) {
			closeChannel(channel);
			throw error;
		}
	}

	get shownName(): string {
		return this.address.shown;
	}

	get size(): number {
		return this.contents?.bytes.length ?? this.knownSize;
	}

	private attempt<Result>(what: string, call: () => Result): Result {
		return attemptOnCluster(`cannot ${what} ${quoted(this.shownName)}`, call, {
			'no-such': {text: 'it has been removed', reason: 'no-segment', subject: this.shownName},
		});
	}

	private read(): Contents {
		this.contents ??= this.attempt('read', () =>
			this.channel.call<SegmentMethods, 'segmentRead'>('segmentRead', [this.address.name]),
		);
		return this.contents;
	}

	readAll(): {bytes: Buffer; revision: number} {
		this.contents = undefined;
		const {bytes, revision} = this.read();
		return {bytes: bufferOf(bytes), revision};
	}

	replaceAll(bytes: Uint8Array, revision: number): boolean {
		return this.attempt('change', () =>
			this.channel.call<SegmentMethods, 'segmentReplace'>('segmentReplace', [
				this.address.name,
				copyOf(bytes),
				revision,
			]),
		);
	}

	readBytes(offset: number, length: number): Buffer {
		return bufferOf(this.read().bytes).subarray(offset, offset + length);
	}

	replaceBytes(offset: number, bytes: Uint8Array): Buffer {
		const {before, isBeyond, size} = this.change({kind: 'bytes', offset, bytes: copyOf(bytes), grow: false});
		if (isBeyond) throw this.beyond('write', offset, bytes.length, size);
		return bufferOf(before);
	}

	store(offset: number, bytes: Uint8Array, grow: boolean): {size: number; isStored: boolean} {
		const {size, isBeyond} = this.change({kind: 'bytes', offset, bytes: copyOf(bytes), grow});
		return {size, isStored: !isBeyond};
	}

	private change(change: Change): Changed {
		this.contents = undefined;
		const changed = this.attempt('change', () =>
			this.channel.call<SegmentMethods, 'segmentChange'>('segmentChange', [this.address.name, change]),
		);
		this.knownSize = changed.size;
		return changed;
	}

	load(type: WordType, offset: number): bigint {
		const width = widthOf(type);
		checkAligned(type, width, offset);
		const {bytes} = this.read();
		if (offset + width > bytes.length) throw this.beyond('read', offset, width, bytes.length);
		return wordIn(type, bytes.subarray(offset, offset + width));
	}

	exchange(type: WordType, offset: number, value: bigint): bigint {
		return this.changeWord(type, offset, [value], {kind: 'exchange', value});
	}

	add(type: WordType, offset: number, value: bigint): bigint {
		return this.changeWord(type, offset, [value], {kind: 'add', value});
	}

	compareExchange(type: WordType, offset: number, expected: bigint, value: bigint): bigint {
		return this.changeWord(type, offset, [expected, value], {kind: 'compare', value, expected});
	}

	private changeWord(
		type: WordType,
		offset: number,
		values: readonly bigint[],
		wish: {kind: 'exchange' | 'add'; value: bigint} | {kind: 'compare'; value: bigint; expected: bigint},
	): bigint {
		for (const value of values) checkWord(type, value);
		const width = widthOf(type);
		checkAligned(type, width, offset);
		const {before, isBeyond, size} = this.change({...wish, width, offset});
		if (isBeyond) throw this.beyond('change', offset, width, size);
		return wordIn(type, before);
	}

	/** The server tells of each revision. */
	wait(
		type: WordType,
		offset: number,
		isWanted: (value: bigint) => boolean,
		timeoutMs = -1,
		look?: () => void,
	): bigint | undefined {
		const deadline = new Deadline(timeoutMs);
		for (;;) {
			// Before the value: a change in between is then news.
			const {revision} = this.read();
			const value = this.load(type, offset);
			if (isWanted(value)) return value;
			if (deadline.hasPassed) return undefined;
			const news = this.attempt('wait for', () => {
				try {
					const args: [string, number, number] = [this.address.name, revision, deadline.waitMs()];
					return this.channel.call<SegmentMethods, 'segmentNext'>('segmentNext', args, stdout);
				} catch (error) {
					// The reader of stdout has left.
					if (hasCode(error, 'EPIPE')) look?.();
					throw error;
				}
			});
			if (!news) return undefined;
			if (news.isRemoved) throw new SystemError(`cannot wait for ${quoted(this.shownName)}: it has been removed`);
			this.contents = undefined;
		}
	}

	lock(): boolean {
		throw new Error('a segment on a cluster has no lock');
	}

	unlock(): void {}

	checkIsThere(): void {}

	[Symbol.dispose](): void {
		closeChannel(this.channel);
	}
}

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

/** Not the whole memory that a small buffer lies in. */
const copyOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes);

function wordIn(type: WordType, bytes: Uint8Array): bigint {
	const buffer = bufferOf(bytes);
	return wordOf(type, bitsOf(bytes.length === 4 ? BigInt(buffer.readUInt32LE(0)) : buffer.readBigUInt64LE(0)));
}
