import {quoted, reasonOf} from '../../common/errors.js';
import {tellError} from '../../common/output.js';
import type {PeerCredentials} from '../../objects/socket/local-socket.js';
import {type CallError, type CallResult, internalError} from './json-rpc.js';

export interface Call {
	method: string;
	/** An array or an object as JSON text; undefined when there were none. */
	params: string | undefined;
	/** The caller; undefined if the kernel does not tell (TCP). */
	caller: PeerCredentials | undefined;
}

export interface RunningCall {
	/** The result. Never rejects. It may be known before all processes have ended. */
	readonly outcome: Promise<CallResult>;
	/** Resolves when no process of the call runs any more. Never rejects. */
	readonly ended: Promise<void>;
	/** Stops the call, for this reason. */
	stop(error: CallError): void;
	/** No client waits for its answer any more. */
	abandon(): void;
}

/** Executes calls. */
export interface CallRunner {
	/** Undefined when there is no such method. */
	start(call: Call): RunningCall | undefined;
	/** The names that can be called, if they are known. */
	methods(): string[] | undefined;
	/** Ends the processes kept for later calls. Never rejects. */
	close(): Promise<void>;
}

/** Reports an error of one call that does not concern the caller: the operator of the server sees it. */
export function defect(method: string, error: unknown): CallError {
	tellError(`cannot answer a call of ${quoted(method)}: ${reasonOf(error)}`);
	return internalError;
}

/** Codes of the range that the standard leaves to servers. */
export const methodFailed = -32000;
export const methodTimedOut = -32001;
export const serverRefuses = -32002;
