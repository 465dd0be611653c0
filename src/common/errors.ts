import {existsSync} from 'node:fs';
import {constants} from 'node:os';
import {getSystemErrorMap} from 'node:util';
import {isKernelError, type KernelError} from '../native/index.js';

/** What a command says to do about an error, by its reason: the text with the remedy, for the subject of the error. */
export type Remedies = Readonly<Record<string, (text: string, subject: string) => string>>;

let remedies: Remedies = {};

/** From now on errors say what to do. A library has no command line to name, so there they do not. */
export function useRemedies(ofCommand: Remedies): void {
	remedies = ofCommand;
}

export interface ErrorDetails extends ErrorOptions {
	/** What is wrong, in a word to branch on: `no-queue`. */
	reason?: string | undefined;
	/** The name that the remedy needs. */
	subject?: string | undefined;
	/** The exit status, where it is not the usual one. */
	status?: number | undefined;
}

class ExplainedError extends Error {
	/** What is wrong, in a word to branch on, where there is one: `no-queue`. */
	readonly reason: string | undefined;
	readonly status: number | undefined;

	constructor(text: string, {reason, subject = '', status, ...options}: ErrorDetails = {}) {
		super(reason === undefined ? text : (remedies[reason]?.(text, subject) ?? text), options);
		this.reason = reason;
		this.status = status;
	}

	/** The same error, with more to say. */
	followedBy(text: string): this {
		this.message += text;
		return this;
	}
}

/** Usage error: the reason is reported, status 2. */
export class UsageError extends ExplainedError {
	/** The verb whose help the message points to. */
	verb?: string;
	meant?: Meant | undefined;
}

/** A word that is not one of the candidates. The nearest candidate is looked up when the error is reported. */
export interface Meant {
	readonly word: string;
	readonly candidates: readonly string[];
	/** Verbs have synonyms, and some must not be suggested. */
	readonly of?: 'verbs';
	/** The hint where no candidate is near. */
	readonly otherwise?: string;
}

/**
 * A system call failed, or the peer reported an error: one line with what was tried, the reason and a remedy; status 1.
 */
export class SystemError extends ExplainedError {}

/** Makes anything fit for one line on a terminal: control characters are written as escapes. */
export function printable(text: string): string {
	// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
	return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\udc80-\udcff]/gu, (character) => {
		const unit = character.charCodeAt(0);
		const code = unit < 0xdc80 ? unit : unit - 0xdc00;
		const short: Record<number, string> = {9: '\\t', 10: '\\n', 13: '\\r', 27: '\\e'};
		return short[code] ?? (code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`);
	});
}

/** A name as messages show it. */
export const quoted = (name: string): string => `'${printable(name)}'`;

/** A name as a command line in a remedy has to have it. */
export function shellWord(name: string): string {
	const word = /^[\w@%+=:,./-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;
	return name.startsWith('-') ? `-- ${word}` : word;
}

/** `1 record`, `2 records` */
export const countOf = (count: number, unit: string): string => `${count} ${unit}${count === 1 ? '' : 's'}`;

const reasons: Record<string, string> = {
	EACCES: 'permission denied',
	EPERM: 'operation not permitted',
	ENOENT: 'no such file or folder',
	ENOTDIR: 'part of the path is not a folder',
	ELOOP: 'too many symbolic links',
	ENOSPC: 'no space left on the device',
	EDQUOT: 'the disk quota is used up',
	EROFS: 'the file system is read-only',
	EMFILE: 'too many open files in this process (RLIMIT_NOFILE; see: ulimit -n)',
	ENOMEM: 'the kernel has no memory left',
	ENFILE: 'too many open files on this machine (see: sysctl fs.file-max)',
	EPIPE: 'the reader has left',
	ENXIO: 'no process reads it',
	ENAMETOOLONG: 'the name is too long',
	EFBIG: 'the file would become too large (RLIMIT_FSIZE; see: ulimit -f)',
};

/** The kernel's reason in words, without the call's name. */
export function reasonOf(error: unknown): string {
	if (!isKernelError(error)) return error instanceof Error ? error.message : String(error);
	const known = reasons[error.code];
	// Much goes through the files of our own descriptors there.
	if (error.code === 'ENOENT' && !existsSync('/proc/self')) return `${known} (/proc is not mounted)`;
	if (known) return known;
	const text = error.message.replace(/^[\w]+: /, '').replace(/, \w+( .*)?$/s, '');
	return text.charAt(0).toLowerCase() + text.slice(1);
}

/** The words for error codes that mean something special here. */
export type Meanings = Readonly<Record<string, string | (ErrorDetails & {text: string})>>;

/**
 * Turns a refusal by the kernel into the one line for the user: what was tried, then why. Anything that is not a refusal is a defect and is returned unchanged, and
 * so do EINTR (we were told to stop) and ETIMEDOUT.
 */
export function explain(tried: string, error: unknown, meanings: Meanings = {}): unknown {
	if (!isKernelError(error) || error.code === 'EINTR' || error.code === 'ETIMEDOUT') return error;
	const meaning = meanings[error.code] ?? reasonOf(error);
	const {text, ...details} = typeof meaning === 'string' ? {text: meaning} : meaning;
	return new SystemError(`${tried}: ${text}`, {...details, cause: error});
}

/** Calls, and explains a refusal. */
export function attempt<Result>(tried: string, call: () => Result, meanings: Meanings = {}): Result {
	try {
		return call();
	} catch (error) {
		throw explain(tried, error, meanings);
	}
}

/** A refusal of which the native layer reported only the name or the number, as the error that it throws for others. */
export function kernelError(refusal: string | number, syscall: string): KernelError {
	const named: Readonly<Record<string, number>> = constants.errno;
	const errno = typeof refusal === 'number' ? refusal : (named[refusal] ?? 0);
	const [known, text] = getSystemErrorMap().get(-errno) ?? [undefined, undefined];
	const code = typeof refusal === 'string' ? refusal : (known ?? 'EUNKNOWN');
	return Object.assign(new Error(`${syscall}: ${text ?? `error ${errno}`}`), {code, errno, syscall});
}

export const hasCode = (error: unknown, ...codes: string[]): boolean =>
	isKernelError(error) && codes.includes(error.code);
