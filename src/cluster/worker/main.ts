import {writeSync} from 'node:fs';
import {type MessagePort, workerData} from 'node:worker_threads';
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

/** The thread of the client: carries out what a command asks for through a channel (channel.ts). */

const {settings, clientName, output, wake, shared, port} = workerData as WorkerStart & {port: MessagePort};
const words = new Int32Array(shared);

function send(answer: Answer): void {
	port.postMessage(answer, memoryOf(answer));
	Atomics.add(words, flags.sent, 1);
	Atomics.notify(words, flags.sent);
	if (Atomics.exchange(words, flags.woken, 1) === 0) writeSync(wake, '!');
}

/** Memory that changes hands instead of being copied. */
function memoryOf(answer: Answer): ArrayBuffer[] {
	const {bytes} = (('result' in answer ? answer.result : undefined) ?? {}) as {bytes?: unknown};
	const isWhole =
		bytes instanceof Uint8Array && bytes.buffer instanceof ArrayBuffer && bytes.length === bytes.buffer.byteLength;
	return isWhole ? [bytes.buffer as ArrayBuffer] : [];
}

const reportDefect = (error: unknown) => send({defect: error instanceof Error ? (error.stack ?? '') : String(error)});
process.on('uncaughtException', reportDefect);
process.on('unhandledRejection', reportDefect);

configureOutput(output);
// Whether a server is verified is not for the environment to decide, also where the server asks for TLS and not we.
delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
/** At once: the command may wait for something else. */
function tellNow(notice: string): void {
	try {
		tell(notice);
	} catch {
		// A signal has been caught, and the command ends.
	}
}
const connection = new Connection(settings, clientName, tellNow);
const methods: Methods = {
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
