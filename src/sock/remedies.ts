import type {Remedies} from '../common/errors.js';

/** What to type when a socket or an address is not as it should be. */
export const remedies: Remedies = {
	'socket-in-use': (text) => `${text} (--force removes it anyway)`,
	'other-socket-type': (text) => `${text} (see: ipc-sock stat, and --type)`,
	'not-encrypted': (text) => `${text} (use tls:, or --insecure)`,
};
