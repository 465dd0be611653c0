import {writeSync} from 'node:fs';
import {isMainThread, type MessagePort, workerData} from 'node:worker_threads';
import {configureOutput, tell} from '../../common/output.js';
import {type Answer, flags, type Methods, type Request, type WorkerStart} from '../protocol.js';
import {callMethods} from './calls/calls.js';
import {Connection} from './connection.js';
import {refusalOf} from './errors.js';
import {pipeMethods} from './pipe/pipe.js';
import {queueMethods} from './queue/queue.js';
import {segmentMethods} from './segment/segment.js';
import {semaphoreMethods} from './semaphore/semaphore.js';
import {signalMethods} from './signals/signals.js';

/**
 * The client of NATS, in a bundle of its own. As the thread of the client it carries out what a command asks for through a channel
 * (channel.ts); a verb whose waits are promises loads it into its own thread.
 */
export {CallListener} from './calls/call-listener.js';
export {Connection, methodsOf, refusalOf};

// Whether a server is verified is not for the environment to decide, also where the server asks for TLS and not we.
delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
if (!isMainThread) carryOut(workerData);

function carryOut({settings, output, wake, shared, port}: WorkerStart & {port: MessagePort}): void {
	const words = new Int32Array(shared);

	function send(answer: Answer): void {
		port.postMessage(answer, memoryOf(answer));
		Atomics.add(words, flags.sent, 1);
		Atomics.notify(words, flags.sent);
		if (Atomics.exchange(words, flags.woken, 1) === 0) writeSync(wake, '!');
	}

	const reportDefect = (error: unknown) => send({defect: error instanceof Error ? (error.stack ?? '') : String(error)});
	const connection = new Connection(settings, tellNow);
	const reportStray = (error: unknown) => {
		// What was about to be sent when the connection was closed has nowhere to go.
		const isLate = connection.closing.signal.aborted && refusalOf(error)?.reason === 'closed';
		if (!isLate) reportDefect(error);
	};
	process.on('uncaughtException', reportStray);
	process.on('unhandledRejection', reportStray);

	configureOutput(output);
	const methods = methodsOf(connection);

	port.on('message', async ({id, method, args}: Request) => {
		try {
			const call = methods[method];
			if (!call) throw new Error(`no method '${method}'`);
			const result = await call(...args);
			if (id !== 0) send({id, result});
		} catch (error) {
			const refusal = refusalOf(error);
			if (refusal && id === 0) tellNow(refusal.text);
			else if (refusal) send({id, refusal});
			else reportDefect(error);
		}
	});
}

function methodsOf(connection: Connection): Methods {
	return {
		...pipeMethods(connection),
		...queueMethods(connection),
		...semaphoreMethods(connection),
		...callMethods(connection),
		...signalMethods(connection),
		...segmentMethods(connection),
		close: async () => {
			await connection.close();
			return true;
		},
	};
}

/** Memory that changes hands instead of being copied. */
function memoryOf(answer: Answer): ArrayBuffer[] {
	const {bytes} = (('result' in answer ? answer.result : undefined) ?? {}) as {bytes?: unknown};
	const isWhole =
		bytes instanceof Uint8Array && bytes.buffer instanceof ArrayBuffer && bytes.length === bytes.buffer.byteLength;
	return isWhole ? [bytes.buffer as ArrayBuffer] : [];
}

/** At once: the command may wait for something else. */
function tellNow(notice: string): void {
	try {
		tell(notice);
	} catch {
		// A signal has been caught, and the command ends.
	}
}
