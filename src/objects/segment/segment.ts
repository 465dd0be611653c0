import type {SystemError} from '../../common/errors.js';
import type {WordType} from './word.js';

export interface SegmentSettings {
	/** Bytes; the memory is reserved. Default 0. */
	size?: number | undefined;
	/** Permission bits; the umask applies. Default 0600. */
	mode?: number | undefined;
	/** On a cluster: at least how many servers store it. */
	replicas?: number | undefined;
}

export type SegmentAccess = 'read' | 'both';

/** A segment that is open: on this machine, or on a cluster. What can be refused is a SystemError with the reason. */
export interface Segment extends Disposable {
	/** The name as the user wrote it. */
	readonly shownName: string;
	/** Bytes, now: other processes may change that. */
	readonly size: number;
	/** Bytes from there on; fewer at its end. */
	readBytes(offset: number, length: number): Buffer;
	/** Stores bytes there and returns those before, which may be fewer. The segment never grows. */
	replaceBytes(offset: number, bytes: Uint8Array): Buffer;
	/** The value of a word. */
	load(type: WordType, offset: number): bigint;
	/** Stores a value and returns the old one. Processes that wait for the word notice, as every change here. */
	exchange(type: WordType, offset: number, value: bigint): bigint;
	/** Adds and returns the old value. Wraps around at the limits of the type. */
	add(type: WordType, offset: number, value: bigint): bigint;
	/** Stores if the word has the expected value, and returns the old value. */
	compareExchange(type: WordType, offset: number, expected: bigint, value: bigint): bigint;
	loadDouble(offset: number): number;
	exchangeDouble(offset: number, value: number): number;
	/** Waits until a word meets a condition, and returns its value; undefined when it did not in time. */
	wait(
		type: WordType,
		offset: number,
		isWanted: (value: bigint) => boolean,
		timeoutMs?: number,
		look?: () => void,
	): bigint | undefined;
	/** Why these bytes lie beyond the end, in numbers. */
	beyond(tried: string, offset: number, length: number, size: number): SystemError;
	/** Takes the segment's own lock; false when other processes held it for this time. Not on a cluster. */
	lock(kind: 'shared' | 'exclusive', timeoutMs?: number): boolean;
	unlock(): void;
	/** @throws SystemError when it has been removed. */
	checkIsThere(tried: string): void;
}
