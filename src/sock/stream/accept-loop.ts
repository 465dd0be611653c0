import {hasCode, SystemError} from '../../common/errors.js';
import {tell} from '../../common/output.js';
import {native, POLLIN} from '../../native/index.js';
import type {Listener} from '../../objects/socket/listener.js';
import type {LocalSocket} from '../../objects/socket/local-socket.js';

/** A wait in libuv's thread pool has to end now and then. */
const sliceMs = 10_000;
const busyMs = 100;

/** The connections that are there already, as long as there is `hasRoom`. What goes wrong is left to {@link connectionsOf}. */
export function* waitingConnections(listener: Listener, hasRoom: () => boolean): Generator<LocalSocket> {
	while (hasRoom()) {
		let connection: LocalSocket | undefined;
		try {
			connection = listener.tryAccept();
		} catch (error) {
			if (!(error instanceof SystemError)) throw error;
		}
		if (!connection) return;
		yield connection;
	}
}

/** Each connection as it arrives, without blocking the event loop, until `stopped` resolves. */
export async function* connectionsOf(listener: Listener, stopped: Promise<unknown>): AsyncGenerator<LocalSocket> {
	let isOver = false;
	const over = stopped.then(() => {
		isOver = true;
	});
	let saidBusy = false;
	while (!isOver) {
		let connection: LocalSocket | undefined;
		try {
			connection = listener.tryAccept();
		} catch (error) {
			// Out of descriptors: new clients wait until some of the connected ones leave.
			if (!(error instanceof SystemError) || !hasCode(error.cause, 'EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS'))
				throw error;
			if (!saidBusy) tell(`${error.message}; new clients have to wait`);
			saidBusy = true;
			await Promise.race([over, new Promise((resolve) => setTimeout(resolve, busyMs))]);
			continue;
		}
		if (connection) yield connection;
		else await Promise.race([over, native.pollInBackground(listener.descriptor, POLLIN, sliceMs)]);
	}
}
