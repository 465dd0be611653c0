import {errno, signals} from 'ipc-tools:constants';
import {readFileSync} from './fs.js';
import {host} from './host.js';
import {nodeOnly} from './node-only.js';

/** node:os, as far as the commands use it: the build takes the numbers from Node itself. */
export const constants = {
	get signals() {
		return signals();
	},
	get errno() {
		return errno();
	},
};

/** Bytes that could be had: as libuv, what the kernel counts as available, else what is free. */
export function freemem(): number {
	try {
		const [, kilobytes] = /^MemAvailable:\s*(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'latin1')) ?? [];
		if (kilobytes !== undefined) return Number(kilobytes) * 1024;
	} catch {
		// Without /proc.
	}
	return host.freeMemory();
}

export const availableParallelism = nodeOnly('os.availableParallelism');
