import {countOf, quoted, SystemError} from '../../common/errors.js';
import {checkAligned, doubleBits, doubleOf, type WordType} from './word.js';

/** What the words of every segment have in common, on this machine and on a cluster. */
export abstract class Words {
	/** The name as the user wrote it. */
	abstract readonly shownName: string;
	/** The reason of the error for what lies beyond the end, where a command has a remedy for it. */
	protected readonly beyondReason: string | undefined;

	/** The value of a word. */
	abstract load(type: WordType, offset: number): bigint;
	/** Stores a value and returns the old one. */
	abstract exchange(type: WordType, offset: number, value: bigint): bigint;

	/** A double, read atomically. */
	loadDouble(offset: number): number {
		checkAligned('f64', 8, offset);
		return doubleOf(BigInt.asUintN(64, this.load('u64', offset)));
	}

	/** Stores a double atomically and returns the old one. */
	exchangeDouble(offset: number, value: number): number {
		checkAligned('f64', 8, offset);
		return doubleOf(this.exchange('u64', offset, BigInt.asUintN(64, doubleBits(value))));
	}

	/** Why these bytes lie beyond the end, in numbers. */
	beyond(tried: string, offset: number, length: number, size: number): SystemError {
		return new SystemError(
			`cannot ${tried} ${quoted(this.shownName)}: ${countOf(length, 'byte')} at offset ${offset} ${length === 1 ? 'needs' : 'need'} ${offset + length} and the segment has ${size}`,
			{reason: this.beyondReason},
		);
	}
}
