import {SystemError, UsageError} from '../common/errors.js';
import type {ClusterAddress} from '../common/formats/cluster-address.js';
import type {TextFormat} from '../common/formats/text-format.js';
import {readInput} from '../common/input.js';
import {receiverName, receiverNames} from '../objects/signals/registration.js';

/** A target, as it was written. */
export type Target = {shown: string; pid: number} | {shown: string; name: string};

/** A receiver on a cluster. */
export interface DistantTarget {
	shown: string;
	address: ClusterAddress;
}

/** The maximum of the kernel: PID_MAX_LIMIT. proc(5), /proc/sys/kernel/pid_max */
const highestPid = 2 ** 22;

/** The targets that have a name. */
export const namedTargets = (): string[] => receiverNames().map((name) => `@${name}`);

export const target: TextFormat<Target> = {
	placeholder: 'TARGET',
	parse(text) {
		if (text.startsWith('@')) return {shown: text, name: receiverName.parse(text)};
		if (/^-[0-9]+$/.test(text))
			throw new UsageError(`'${text}' is not a process: for the process group of ${text.slice(1)} use --group`);
		if (!/^[0-9]+$/.test(text)) throw new UsageError(`'${text}' is not a process: a PID or @NAME is expected`);
		const pid = Number(text);
		if (pid === 0) throw new UsageError("'0' is not a process (for the process group of this shell: --group $$)");
		if (pid > highestPid) throw new UsageError(`'${text}' is not a process: the highest PID is ${highestPid}`);
		return {shown: String(pid), pid};
	},
};

/** The words of stdin as they arrive, whatever space is between them. */
export function* wordsOfInput(): Generator<string> {
	const buffer = Buffer.alloc(65_536);
	const decoder = new TextDecoder();
	let rest = '';
	for (let count = readInput(buffer, 0); count > 0; count = readInput(buffer, 0)) {
		const words = (rest + decoder.decode(buffer.subarray(0, count), {stream: true})).split(/\s+/);
		rest = words.pop() as string;
		if (rest.length > buffer.length) throw new SystemError('a word on stdin is too long for a process');
		yield* words.filter((word) => word !== '');
	}
	if (rest !== '') yield rest;
}
