import {closeSync} from 'node:fs';
import {isIPv4, isIPv6} from 'node:net';
import {Deadline} from '../../common/deadline.js';
import {explain, hasCode, kernelError, quoted, SystemError} from '../../common/errors.js';
import {AF_INET, AF_INET6, native, SO_REUSEADDR, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET} from '../../native/index.js';
import {formatSocketAddress, type NetworkAddress} from './socket-address.js';

const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;

interface Target {
	family: number;
	/** A struct sockaddr. */
	bytes: Buffer;
}

/** struct sockaddr_in and sockaddr_in6. ip(7), ipv6(7) */
export function sockaddrInet(address: string, port: number): Target {
	if (isIPv4(address)) {
		const bytes = Buffer.alloc(16);
		bytes.writeUInt16LE(AF_INET);
		bytes.writeUInt16BE(port, 2);
		for (const [i, part] of address.split('.').entries()) bytes[4 + i] = Number(part);
		return {family: AF_INET, bytes};
	}
	const bytes = Buffer.alloc(28);
	bytes.writeUInt16LE(AF_INET6);
	bytes.writeUInt16BE(port, 2);
	for (const [i, part] of ipv6Groups(address).entries()) bytes.writeUInt16BE(part, 8 + 2 * i);
	return {family: AF_INET6, bytes};
}

/** The eight groups of a valid address. */
function ipv6Groups(address: string): number[] {
	const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address.replace(/%.*$/, ''));
	const hex = (high: string | undefined, low: string | undefined) => (Number(high) * 256 + Number(low)).toString(16);
	const text = dotted
		? `${dotted[1]}${hex(dotted[2], dotted[3])}:${hex(dotted[4], dotted[5])}`
		: address.replace(/%.*$/, '');
	const [head = '', tail] = text.split('::');
	const numbers = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
	if (tail === undefined) return numbers(head);
	const [left, right] = [numbers(head), numbers(tail)];
	return [...left, ...new Array(8 - left.length - right.length).fill(0), ...right];
}

/** Every address of a host, in the order to try them. KernelError with ETIMEDOUT after `timeoutMs`; 0 does not limit this. */
async function resolve({host, port}: NetworkAddress, shown: string, timeoutMs = -1): Promise<Target[]> {
	if (isIPv4(host) || isIPv6(host)) return [sockaddrInet(host, port)];
	const {lookup} = await import('node:dns/promises');
	try {
		const found = await within(timeoutMs, lookup(host, {all: true, verbatim: true}));
		return found.map(({address}) => sockaddrInet(address, port));
	} catch (error) {
		if (hasCode(error, 'ETIMEDOUT')) throw error;
		throw new SystemError(`cannot find the host of ${quoted(shown)}: no address is known for it`);
	}
}

/** The C library looks names up as long as it likes, in a thread that nothing stops: it goes on. getaddrinfo(3) */
async function within<Result>(timeoutMs: number, work: Promise<Result>): Promise<Result> {
	if (timeoutMs <= 0) return work;
	let timer: NodeJS.Timeout | undefined;
	const late = new Promise<never>((_, reject) => {
		timer = setTimeout(() => reject(kernelError('ETIMEDOUT', 'getaddrinfo')), Math.min(timeoutMs, longestTimerMs));
	});
	try {
		return await Promise.race([work, late]);
	} finally {
		clearTimeout(timer);
	}
}

const longestTimerMs = 2 ** 31 - 1;

/** A TCP connection, as a descriptor that never blocks. KernelError with ETIMEDOUT after `timeoutMs`. tcp(7) */
export async function connectTcp(address: NetworkAddress, timeoutMs: number): Promise<number> {
	const shown = formatSocketAddress(address);
	const deadline = new Deadline(timeoutMs);
	let last: unknown;
	for (const {family, bytes} of await resolve(address, shown, timeoutMs)) {
		const descriptor = native.socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
		try {
			native.connect(descriptor, bytes, deadline.waitMs());
			return descriptor;
		} catch (error) {
			closeSync(descriptor);
			if (hasCode(error, 'EINTR')) throw error;
			last = error;
		}
	}
	throw explain(`cannot connect to ${quoted(shown)}`, last, {ECONNREFUSED: 'no process listens there'});
}

/** A TCP listener, as a descriptor that never blocks. tcp(7) */
export async function listenTcp(address: NetworkAddress, backlog = 4096): Promise<number> {
	const shown = formatSocketAddress(address);
	const [target] = await resolve(address, shown);
	if (!target) throw new SystemError(`cannot find the host of ${quoted(shown)}`);
	const descriptor = native.socket(target.family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	try {
		native.setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
		// [::] is every interface of both families, as in other servers.
		if (target.family === AF_INET6) native.setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 0);
		native.bind(descriptor, target.bytes);
		native.listen(descriptor, backlog);
		return descriptor;
	} catch (error) {
		closeSync(descriptor);
		throw explain(`cannot listen on ${quoted(shown)}`, error, {
			EADDRINUSE: 'another process uses that port (see: ss -ltnp)',
			EADDRNOTAVAIL: 'this machine has no such address',
			EACCES: 'ports below 1024 need a privilege',
		});
	}
}
