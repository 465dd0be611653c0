import {quoted, reasonOf} from '../../common/errors.js';
import {tellError} from '../../common/output.js';
import type {PeerCredentials} from '../../objects/socket/local-socket.js';
import {type CallError, type CallResult, internalError} from './json-rpc.js';

export interface Call {
	method: string;
	/** An array or an object as JSON text; undefined when there were none. */
	params: string | undefined;
	/** Who asks; undefined where the kernel does not say (TCP). */
	caller: PeerCredentials | undefined;
}

export interface RunningCall {
	/** Never rejects. It may be known before all has come to its end. */
	readonly outcome: Promise<CallResult>;
	/** When nothing of it runs any more. Never rejects. */
	readonly ended: Promise<void>;
	/** It is to end, for this reason. */
	stop(error: CallError): void;
	/** Nobody waits for its answer any more. */
	abandon(): void;
}

/** Something that carries calls out. */
export interface CallRunner {
	/** Undefined when there is no such method. */
	start(call: Call): RunningCall | undefined;
	/** The names that can be called, where that is known. */
	methods(): string[] | undefined;
	/** Ends what it keeps for later calls. Never rejects. */
	close(): Promise<void>;
}

/** Something went wrong with one call that is not the caller's business: whoever runs the server hears of it. */
export function defect(method: string, error: unknown): CallError {
	tellError(`cannot answer a call of ${quoted(method)}: ${reasonOf(error)}`);
	return internalError;
}

/** Codes of the range that the standard leaves to servers. */
export const methodFailed = -32000;
export const methodTimedOut = -32001;
export const serverRefuses = -32002;
