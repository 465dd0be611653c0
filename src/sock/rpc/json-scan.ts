import {native} from '../../native/index.js';

/** Input that is not a message. */
export class Broken {
	constructor(
		readonly reason: string,
		/** The start of the next message cannot be found, or is not worth waiting for. */
		readonly isFatal: boolean,
	) {}
}

export const isSpace = (byte: number): boolean => byte === 32 || byte === 10 || byte === 13 || byte === 9;
/** Whether an array or an object begins with it. */
export const isOpening = (byte: number): boolean => byte === 123 || byte === 91;

const noJson = new Broken('it is not JSON', false);

/** The numbers of `struct json_scan` (src/native/pumps/json-scan.h) before a bit for each bracket. */
const headerWords = 7;
const mostDepthWord = 1;
const [complete, notJson, tooDeep] = [1, 2, 3];

/**
 * Finds the end of an array or an object, in however many pieces it arrives, looking at each byte once: it is JSON up
 * to there, or the first byte that breaks JSON is found. Only UTF-8 remains to be checked.
 */
export class JsonScan {
	/** The present state. */
	at = 0;
	private readonly words: Int32Array;

	/** `mostDepth`: how many arrays and objects may be open at once. */
	constructor(private readonly mostDepth: number) {
		this.words = new Int32Array(headerWords + Math.ceil(mostDepth / 32));
		this.begin();
	}

	/** Another value begins. */
	begin(): void {
		this.words.fill(0, 0, headerWords);
		this.words[mostDepthWord] = this.mostDepth;
	}

	/** Continues until the value is complete, or is found to be invalid. */
	goOn(bytes: Uint8Array, from: number, limit: number): 'more' | 'complete' | Broken {
		this.at = native.scanJson(this.words, bytes, from, limit);
		switch (this.words[0]) {
			case complete:
				return 'complete';
			case notJson:
				return noJson;
			case tooDeep:
				return new Broken(`nested deeper than ${this.mostDepth}`, true);
			default:
				return 'more';
		}
	}
}
