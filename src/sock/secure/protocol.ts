import type {NetworkAddress} from '../../objects/socket/socket-address.js';
import type {Credentials} from '../stream/tls-settings.js';

/** What the thread that speaks TLS starts with. */
export interface SecureStart {
	role: 'connect' | 'listen';
	address: NetworkAddress;
	credentials: Credentials;
	/** Its end of a socket on which it writes {@link SecureNews}, a line each. The end of the other side: accept no more. */
	control: number;
	/** How a line to a person is written. */
	output: {command: string; quiet: boolean};
	/** How long connecting may take; negative: as long as the command waits. */
	connectTimeoutMs: number;
	backlog: number | undefined;
	/** Maximum number of connections. */
	most: number;
}

export type SecureNews =
	/** It listens. */
	| {kind: 'ready'}
	/** It cannot connect or listen, in words. */
	| {kind: 'failed'; text: string}
	/** A connection: what is written to this descriptor is sent, and what arrives can be read from it. */
	| {kind: 'connection'; id: number; descriptor: number}
	/** All has been sent and read, or it failed; `isReset`: the peer has just left. */
	| {kind: 'closed'; id: number; failure?: string; isReset?: boolean}
	/** A defect of ours in the thread. */
	| {kind: 'defect'; text: string};
