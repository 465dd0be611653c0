import type {Call, CallRunner, RunningCall} from './call-runner.js';
import {isReserved, type MethodFolders} from './methods.js';
import {ProgramCall, type ProgramSettings} from './program-call.js';

/** Each method is a program of that name. */
export class FolderRunner implements CallRunner {
	constructor(
		private readonly folders: MethodFolders,
		private readonly settings: ProgramSettings,
	) {}

	start(call: Call): RunningCall | undefined {
		const path = this.folders.find(call.method);
		return path === undefined ? undefined : new ProgramCall(call, [path], this.settings);
	}

	methods(): string[] {
		return this.folders.list();
	}

	async close(): Promise<void> {}
}

/** One program for all methods: the name of the method is in its environment. */
export class CommandRunner implements CallRunner {
	constructor(
		private readonly words: readonly string[],
		private readonly settings: ProgramSettings,
	) {}

	start(call: Call): RunningCall | undefined {
		// Only a NUL cannot be in an environment.
		if (isReserved(call.method) || /[\0\p{Surrogate}]/u.test(call.method)) return undefined;
		return new ProgramCall(call, this.words, this.settings);
	}

	methods(): undefined {
		return undefined;
	}

	async close(): Promise<void> {}
}
