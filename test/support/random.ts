import {createCipheriv, createHash} from 'node:crypto';
import {basename} from 'node:path';

/**
 * Everything random in the tests comes from one seed, IPC_TEST_SEED, which test/run.mjs chooses and prints when a test fails.
 * Each test file has numbers of its own.
 */
export const seed = Number(process.env.IPC_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));

const digest = createHash('sha256')
	.update(`${seed} ${basename(process.argv[1] ?? '')}`)
	.digest();
const bytes = createCipheriv('aes-128-ctr', digest.subarray(0, 16), digest.subarray(16));

/** As many random bytes, as of node:crypto. */
export const randomBytes = (length: number): Buffer => bytes.update(Buffer.alloc(length));

/** From 0 up to 1, as Math.random. */
export const random = (): number => randomBytes(4).readUInt32LE() / 2 ** 32;

/** A whole number from 0 up to, but not including, the limit. */
export const randomBelow = (limit: number): number => Math.floor(random() * limit);
