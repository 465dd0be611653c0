import {Socket} from 'node:net';
import {workerData} from 'node:worker_threads';
import {kernelError, SystemError} from '../../common/errors.js';
import {configureOutput} from '../../common/output.js';
import {native, SOCK_NONBLOCK, SOCK_STREAM} from '../../native/index.js';
import {LocalSocket} from '../../objects/socket/local-socket.js';
import {isHungUp} from '../stream/hang-up.js';
import {connectorTo} from '../stream/relay-end.js';
import {openSecureEntrance} from '../stream/secure-entrance.js';
import {isReset, joinPair, streamOf} from '../stream/stream-pair.js';
import {wasReset} from '../stream/tcp-reset.js';
import {tlsReason} from '../stream/tls-settings.js';
import type {SecureNews, SecureStart} from './protocol.js';

/** The thread that speaks TLS: see secure-thread.ts. */

const {role, address, credentials, control, output, connectTimeoutMs, backlog, most} = workerData as SecureStart;

configureOutput(output);
const command = new Socket({fd: control, readable: true, writable: true, allowHalfOpen: true});
const report = (news: SecureNews) => command.write(`${JSON.stringify(news)}\n`);
const reportDefect = (error: unknown) =>
	report({kind: 'defect', text: error instanceof Error ? (error.stack ?? '') : String(error)});
process.on('uncaughtException', reportDefect);
process.on('unhandledRejection', reportDefect);
// The command has ended.
command.on('error', () => {});
command.resume();

let lastId = 0;

/** Joins a connection to a local socket, whose other end the command gets. */
async function handOver(stream: Socket): Promise<void> {
	const id = ++lastId;
	let failure: Error | undefined;
	/** The peer has ended, and not got all. */
	let isUnread = false;
	const noticeReset = () => {
		if (wasReset(stream)) failure ??= kernelError('ECONNRESET', 'write');
	};
	stream.on('end', () => {
		isUnread = stream.writableLength > 0;
		noticeReset();
	});
	stream.on('error', (error) => {
		// After its end a peer that has read all may leave as it likes.
		if (!stream.readableEnded || isUnread || !isReset(error)) failure ??= error;
	});
	const [inside, outside] = native.socketpair(SOCK_STREAM | SOCK_NONBLOCK);
	report({kind: 'connection', id, descriptor: outside});
	const inner = streamOf(LocalSocket.adopt(inside, ''));
	inner.on('data', () => {
		isUnread ||= stream.readableEnded;
	});
	inner.on('end', () => {
		noticeReset();
		// The command has closed it, and reads no answer: its end does not wait for the look of the joint.
		if (!isHungUp(inside)) return;
		inner.destroy();
		stream.destroySoon();
	});
	await joinPair(inner, stream);
	report({kind: 'closed', id, ...(failure ? {failure: tlsReason(failure), isReset: isReset(failure)} : {})});
}

async function connect(): Promise<void> {
	const open = await connectorTo(address, credentials, connectTimeoutMs);
	await handOver(await open());
}

async function listen(): Promise<void> {
	const stopped = new Promise((resolve) => command.once('end', resolve));
	using entrance = await openSecureEntrance(address, credentials, {backlog, most});
	report({kind: 'ready'});
	void stopped.then(() => entrance[Symbol.dispose]());
	for await (const client of entrance.clients(stopped)) void handOver(client.open());
}

(role === 'connect' ? connect() : listen()).catch((error) => {
	if (error instanceof SystemError) report({kind: 'failed', text: error.message});
	else reportDefect(error);
});
