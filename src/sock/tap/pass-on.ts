import {spawn} from 'node:child_process';
import type {Socket} from 'node:net';
import {join} from 'node:path';
import {Deadline} from '../../common/deadline.js';
import {descriptorOf} from '../stream/stream-pair.js';

/** How long a peer that does not read may keep us from handing its connection over. */
const settleTimeoutMs = 1000;
const lookMs = 5;

/** A client and its server. */
export type OpenPair = readonly [Socket, Socket];

/**
 * Hands open connections to a process of their own, which passes on what comes until they end: so the end of a tap changes nothing
 * for them. The pairs that have something in our hands which their peer does not read in time are left out.
 */
export async function passOn(pairs: readonly OpenPair[]): Promise<{count: number; pid: number} | undefined> {
	const descriptors: number[] = [];
	const deadline = new Deadline(settleTimeoutMs);
	for (const pair of pairs) {
		if (!(await settle(pair, deadline))) continue;
		// Nothing is in our hands, and from here on nothing comes in between.
		for (const socket of pair) {
			socket.pause();
			socket.removeAllListeners();
			descriptors.push(descriptorOf(socket));
		}
	}
	if (descriptors.length === 0) return undefined;
	const count = descriptors.length / 2;
	const child = spawn(process.execPath, [join(__dirname, 'tap-rest.js')], {
		argv0: 'ipc-sock',
		cwd: '/',
		env: {...process.env, IPC_TAP_CONNECTIONS: String(count)},
		detached: true,
		stdio: ['ignore', 'ignore', 'ignore', ...descriptors],
	});
	// Out of processes, or of descriptors.
	child.on('error', () => {});
	child.unref();
	return child.pid === undefined ? undefined : {count, pid: child.pid};
}

/** Waits until all that has been read of these has been written. False when it has not in time, or one has closed. */
async function settle(pair: OpenPair, deadline: Deadline): Promise<boolean> {
	for (;;) {
		if (pair.some(({destroyed}) => destroyed)) return false;
		if (pair.every(hasSettled)) return true;
		if (deadline.hasPassed) return false;
		await new Promise((resolve) => setTimeout(resolve, lookMs));
	}
}

const hasSettled = (socket: Socket): boolean =>
	socket.writableLength === 0 &&
	!socket.writableNeedDrain &&
	socket.readableLength === 0 &&
	socket.writableEnded === socket.writableFinished;
