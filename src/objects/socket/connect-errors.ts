import {quoted, SystemError} from '../../common/errors.js';
import type {SocketType} from './local-socket.js';
import type {LocalAddress} from './socket-address.js';

/** No socket of that name, as an error of the kernel. */
export class NoSuchSocket extends SystemError {
	constructor(shown: string) {
		super(`cannot connect to ${quoted(shown)}: no such socket`, {
			cause: Object.assign(new Error('connect: no such file'), {code: 'ENOENT', errno: 2, syscall: 'connect'}),
		});
	}
}

/** The reason why a connection failed, by error code. */
export const connectReasons = (address: LocalAddress, type: SocketType): Record<string, string> => ({
	ECONNREFUSED:
		address.kind === 'abstract'
			? 'no process listens there'
			: 'no process listens there: a process that has ended left the file behind',
	EPROTOTYPE: `it is not a ${type} socket (see: ipc-sock stat, and --type)`,
	EACCES: 'permission denied: its mode does not let this user write',
});
