import {engineVersion} from 'ipc-tools:target';
import {SystemError} from '../common/errors.js';
import {host} from './node/host.js';

/** The small runtime's side of src/common/runtime.ts. */

export const runtimeName = (): string => `quickjs-ng ${engineVersion}`;

/** There is no debugger here whose signal could be taken for ours. */
export const prepareRuntime = (): void => {};

/** A text that the build has made. */
export function readBuiltText(name: string): string {
	const text = host.builtText(name);
	if (text === undefined) throw new Error(`the build made no ${name}`);
	return text;
}

/** Whether this is what became of memory that has run out: the engine throws all kinds of things then. */
export const isOutOfMemory = (_error: unknown): boolean => host.outOfMemory();

/** All bytes are kept: see src/common/formats/odd-bytes.ts. */
export const hasLostBytes = (_words: readonly string[]): boolean => false;

/** The process becomes Node, which runs the same command line. Nothing has been opened or read. */
export function requireNode(command: string, verb: string): void {
	throw new SystemError(`this use of ${verb} needs Node, but ${host.becomeNode(command)}`);
}
