import {arch} from 'ipc-tools:target';
import {host} from './host.js';
import {systemError} from './system-errors.js';

/** Node's global `process`, as far as the commands use it. */

let environment: Record<string, string> | undefined;
let numbers: ReturnType<typeof host.ids> | undefined;
function ids() {
	numbers ??= host.ids();
	return numbers;
}

export const process = {
	/** As in Node: two words before those of the command line. */
	get argv(): string[] {
		return ['ipc', 'ipc', ...host.commandLine()];
	},
	execArgv: [] as string[],
	arch,
	platform: 'linux',
	get env(): Record<string, string> {
		environment ??= host.environment();
		return environment;
	},
	get pid(): number {
		return ids()[0];
	},
	get ppid(): number {
		// It may have ended, and another process have become the parent.
		return host.ids()[1];
	},
	getuid: () => ids()[2],
	geteuid: () => ids()[3],
	getgid: () => ids()[4],
	getegid: () => ids()[5],
	umask: (mask = -1) => host.umask(mask),
	cwd(): string {
		const folder = host.cwd();
		if (typeof folder === 'number') throw systemError(folder, 'uv_cwd');
		return folder;
	},
};
