import {isIP, isIPv6} from 'node:net';
import {UsageError} from '../../common/errors.js';
import {parseLocalAddress} from '../../common/formats/object-name.js';
import {refuse, type TextFormat} from '../../common/formats/text-format.js';

/** Where a socket is. */
export type SocketAddress = LocalAddress | NetworkAddress;

export type LocalAddress =
	/** A bare name: a socket file in the runtime folder. */
	| {kind: 'name'; name: string}
	/** A socket file anywhere. */
	| {kind: 'path'; path: string}
	/** An abstract name, without the `@`. */
	| {kind: 'abstract'; name: string};

export interface NetworkAddress {
	kind: 'tcp' | 'tls';
	/** A name or a literal address, without brackets. */
	host: string;
	port: number;
}

/** struct sockaddr_un: two bytes of family, then the path, with or without a NUL behind it. unix(7) */
export const longestSunPath = 108;

const what = 'an address';

/** `NAME`, `PATH`, `@ABSTRACT`, `unix:PATH`, `tcp:HOST:PORT`, `tls:HOST:PORT`: see ipc-sock(1), ADDRESSES. */
export function parseSocketAddress(text: string): SocketAddress {
	const scheme = /^(unix|tcp|tls):/.exec(text)?.[1];
	if (scheme === 'tcp' || scheme === 'tls') return parseNetworkAddress(text, scheme);
	const address = parseLocalAddress(scheme === 'unix' ? text.slice(5) : text);
	if (address.kind === 'abstract') {
		const length = Buffer.byteLength(address.name);
		if (length > longestSunPath - 1)
			refuse(text, what, `it has ${length} bytes, the maximum for an abstract name is ${longestSunPath - 1}`);
		return address;
	}
	// After `unix:` everything is a path.
	return scheme === 'unix' ? {kind: 'path', path: text.slice(5)} : address;
}

/** Whether it names a host that has to be looked up. */
export const hasHostName = (address: SocketAddress): boolean => 'host' in address && isIP(address.host) === 0;

function parseNetworkAddress(text: string, kind: 'tcp' | 'tls'): NetworkAddress {
	const match = /^(?:\[([^\]]*)\]|([^:]*)):([^:]*)$/.exec(text.slice(4));
	if (!match) refuse(text, what, `${kind}:HOST:PORT is expected, an IPv6 address in brackets`);
	const [, bracketed, plain, portText] = match;
	const host = bracketed ?? plain ?? '';
	if (bracketed !== undefined && !isIPv6(bracketed)) refuse(text, what, `'${bracketed}' is not an IPv6 address`);
	if (host === '') refuse(text, what, 'the host is missing (0.0.0.0 or [::] is every interface)');
	if (bracketed === undefined && isIP(host) === 0 && !/^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$/.test(host))
		refuse(text, what, `'${host}' is not a host name`);
	if (!/^[0-9]{1,5}$/.test(portText ?? '')) refuse(text, what, 'the port is a number from 1 to 65535');
	const port = Number(portText);
	if (port < 1 || port > 65_535) refuse(text, what, 'the port is a number from 1 to 65535');
	return {kind, host, port};
}

/** The address as it is written on the command line. */
export function formatSocketAddress(address: SocketAddress): string {
	switch (address.kind) {
		case 'name':
			// The slash keeps what begins like another kind of address a name.
			return /^(@|(unix|tcp|tls):)/.test(address.name) ? `/${address.name}` : address.name;
		case 'path':
			return address.path.includes('/') ? address.path : `unix:${address.path}`;
		case 'abstract':
			return `@${address.name}`;
		default:
			return `${address.kind}:${isIPv6(address.host) ? `[${address.host}]` : address.host}:${address.port}`;
	}
}

export const socketAddress: TextFormat<SocketAddress> = {
	placeholder: 'ADDR',
	completes: 'objects and paths',
	parse: parseSocketAddress,
};

/** For verbs that support local sockets only. */
export const localAddress: TextFormat<LocalAddress> = {
	placeholder: 'ADDR',
	completes: 'objects and paths',
	parse(text) {
		const address = parseSocketAddress(text);
		if (!isLocal(address)) throw new UsageError(`'${text}' is not a local socket: this verb needs one`);
		return address;
	},
};

export const isLocal = (address: SocketAddress): address is LocalAddress =>
	address.kind !== 'tcp' && address.kind !== 'tls';

/** Whether TLS is spoken there. */
export const isSecure = (address: SocketAddress): address is NetworkAddress => address.kind === 'tls';

const loopback = /^(localhost|127(\.\d+){3}|::1|::ffff:127(\.\d+){3})$/i;

export const isLoopback = (host: string): boolean => loopback.test(host);

/** Unencrypted traffic over a network needs an explicit option. */
export function checkSecurity(address: SocketAddress, insecure: boolean): void {
	if (address.kind === 'tcp' && !insecure && !isLoopback(address.host))
		throw new UsageError(`'${formatSocketAddress(address)}' is not on this machine, and plain TCP is not encrypted`, {
			reason: 'not-encrypted',
		});
}
