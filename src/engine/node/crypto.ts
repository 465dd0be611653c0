import type {sha256 as Sha256} from '@noble/hashes/sha2.js';
import {Buffer} from './buffer.js';
import {host} from './host.js';

/** node:crypto, as far as the commands use it. getrandom(2) */
export function randomBytes(size: number): Buffer {
	const bytes = Buffer.alloc(size);
	host.random(bytes);
	return bytes;
}

/** SHA-256, as far as it is used: one text. */
export function createHash(_algorithm: 'sha256') {
	const {sha256} = host.lateModule<{sha256: typeof Sha256}>('sha256');
	let bytes = Buffer.alloc(0);
	return {
		update(text: string) {
			bytes = Buffer.concat([bytes, Buffer.from(text)]);
			return this;
		},
		digest: (encoding: 'hex'): string => Buffer.from(sha256(bytes)).toString(encoding),
	};
}
