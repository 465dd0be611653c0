import {UsageError} from '../common/errors.js';
import {duration} from '../common/formats/duration.js';
import {formatSize, size} from '../common/formats/size.js';
import {choice, filePath, refuse, type TextFormat, wholeNumber} from '../common/formats/text-format.js';
import {mostRecordBytes} from '../common/framing/framing.js';
import {hasHostName, type SocketAddress} from '../objects/socket/socket-address.js';
import type {Credentials} from './stream/tls-settings.js';

export const type = {
	value: choice('TYPE', 'stream', 'dgram', 'seqpacket'),
	help: 'socket type: stream (default), dgram or seqpacket',
} as const;
export const insecure = {only: 'local', help: 'allow plain TCP to or from other machines'} as const;
const file = filePath();

/** For tls: addresses. */
export const credentials = {
	cert: {only: 'local', value: file, help: 'with tls: our certificate chain (PEM)'},
	key: {only: 'local', value: file, help: 'with tls: our private key (PEM)'},
	ca: {only: 'local', value: file, help: 'with tls: authorities to trust (PEM)'},
} as const;

/** `listening` and `others`: the addresses of the verb. */
export function checkCredentials(
	{cert, key, ca}: Credentials,
	listening: SocketAddress | undefined,
	...others: SocketAddress[]
): void {
	if (Boolean(cert) !== Boolean(key)) throw new UsageError('--cert and --key must be given together');
	if (listening?.kind === 'tls' && !cert) throw new UsageError('listening on a tls: address needs --cert and --key');
	if (listening?.kind !== 'tls' && others.every(({kind}) => kind !== 'tls') && (cert || ca))
		throw new UsageError('--cert, --key and --ca need a tls: address');
}

/** Host names and TLS need the event loop. */
export const reachedByNode = (address: SocketAddress): boolean => address.kind === 'tls' || hasHostName(address);

export const backlog = {value: wholeNumber(0, 65_535), help: 'maximum number of pending connections'} as const;
export const idle = {value: duration, help: 'stop after DURATION of silence once stdin has ended (status 0)'} as const;

/** Maximum size of a message that is held in memory as a whole. */
export const messageSize: TextFormat<number> = {
	placeholder: size.placeholder,
	parse(text) {
		const bytes = size.parse(text);
		if (bytes === 0) refuse(text, 'a valid size', 'no message fits');
		if (bytes > mostRecordBytes) refuse(text, 'a valid size', `the maximum is ${formatSize(mostRecordBytes)}`);
		return bytes;
	},
};

/** How much may be held in memory for many together. */
export const totalSize: TextFormat<number> = {
	placeholder: size.placeholder,
	parse(text) {
		const bytes = size.parse(text);
		if (bytes === 0) refuse(text, 'a fitting size', 'nothing fits into it');
		return bytes;
	},
};
