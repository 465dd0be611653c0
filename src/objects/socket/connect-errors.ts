import {kernelError, type Meanings, quoted, SystemError} from '../../common/errors.js';
import type {SocketType} from './local-socket.js';
import type {LocalAddress} from './socket-address.js';

/** No socket of that name, as an error of the kernel. */
export class NoSuchSocket extends SystemError {
	constructor(shown: string) {
		super(`cannot connect to ${quoted(shown)}: no such socket`, {
			cause: kernelError('ENOENT', 'connect'),
		});
	}
}

/** The reason why a connection failed, by error code. */
export const connectReasons = (address: LocalAddress, type: SocketType): Meanings => ({
	ECONNREFUSED:
		address.kind === 'abstract'
			? 'no process listens there'
			: 'no process listens there: a process that has ended left the file behind',
	EPROTOTYPE: {text: `it is not a ${type} socket`, reason: 'other-socket-type'},
	EACCES: 'permission denied: its mode does not let this user write',
});
