import {UsageError} from '../errors.js';

/** An object on a NATS cluster. */
export interface ClusterAddress {
	readonly kind: 'cluster';
	/** Undefined in `nats:NAME`: the servers are those of --servers or NATS_URL. */
	readonly server: ClusterServer | undefined;
	/** Empty where an address names a cluster only. */
	readonly name: string;
	/** As messages show it: without a password. */
	readonly shown: string;
}

/** Where a server listens, and who we are to it. */
export interface ClusterServer {
	readonly scheme: 'nats' | 'tls';
	readonly host: string;
	readonly port: number;
	/** A user name, or a token where there is no password. */
	readonly user: string | undefined;
	readonly password: string | undefined;
}

const usualPort = 4222;
const longestName = 128;

/** Whether a text is meant as an address on a cluster. */
export const looksLikeCluster = (text: string): boolean => /^(nats:|tls:\/\/)/i.test(text);

/** A text with an address in it, without the part that may be a password. */
export const withoutPassword = (text: string): string =>
	text.replace(/(^|[\s,'"=])((?:\w+:)?(?:\/\/)?)[^\s,/'"@]*:[^\s,'"]*@/g, '$1$2***@');

function refuse(text: string, why: string): never {
	throw new UsageError(`'${withoutPassword(text)}' is not an address on a cluster: ${why}`);
}

/** `nats://[USER[:PASSWORD]@]HOST[:PORT]/NAME`, `tls://…`, or `nats:NAME`; see ipc-cluster(7), ADDRESSES. */
export function parseClusterAddress(text: string, {withoutName = false} = {}): ClusterAddress {
	const bare = /^nats:(?!\/\/)(.*)$/is.exec(text);
	if (bare) return addressOf(text, undefined, bare[1] as string, withoutName);
	const [, place = '', , name = ''] = /^([^/]+:\/\/[^/]*)(\/(.*))?$/s.exec(text) ?? [];
	return addressOf(text, parseServer(place, text), name, withoutName);
}

function addressOf(
	text: string,
	server: ClusterServer | undefined,
	name: string,
	withoutName: boolean,
): ClusterAddress {
	if (withoutName) {
		if (name !== '') refuse(text, 'a server is expected, without a name');
	} else checkName(text, name);
	return {kind: 'cluster', server, name, shown: `${server ? `${showServer(server)}/` : 'nats:'}${name}`};
}

/** One rule for all objects: what NATS takes in names of streams, buckets and keys alike. A receiver's name may have its @. */
function checkName(text: string, name: string): void {
	const plain = name.replace(/^@/, '');
	if (plain === '') refuse(text, 'the name is missing (nats://HOST/NAME)');
	const wrong = /[^A-Za-z0-9_-]/.exec(plain)?.[0];
	if (wrong !== undefined)
		refuse(text, `a name on NATS has only letters, digits, '-' and '_', and ${JSON.stringify(wrong)} is none of them`);
	if (plain.length > longestName) refuse(text, `the name has ${plain.length} bytes, the maximum is ${longestName}`);
}

/** `[nats://][USER[:PASSWORD]@]HOST[:PORT]`; `shown` is the whole text where this is part of one. */
export function parseServer(text: string, shown = text): ClusterServer {
	const [, schemeText = 'nats', place = ''] = /^(?:(\w+):\/\/)?(.*?)\/?$/s.exec(text) ?? [];
	const match = /^(?:([^@]*)@)?(?:\[([^\]]*)\]|([^:@/[\]]*))(?::([^:/]*))?$/s.exec(place);
	if (!match) refuse(shown, 'nats://HOST:PORT is expected, an IPv6 address in brackets');
	const [, credentials, bracketed, plain, portText] = match;
	const scheme = schemeText.toLowerCase();
	if (scheme !== 'nats' && scheme !== 'tls') refuse(shown, 'it starts with neither nats:// nor tls://');
	const host = bracketed ?? plain ?? '';
	if (host === '') refuse(shown, 'the host is missing');
	const port = portText === undefined ? usualPort : Number(/^[0-9]{1,5}$/.test(portText) ? portText : 0);
	if (port < 1 || port > 65_535) refuse(shown, 'the port is a number from 1 to 65535');
	const [user, ...rest] = credentials?.split(':') ?? [];
	const decode = (part: string) => {
		try {
			return decodeURIComponent(part);
		} catch {
			return refuse(shown, 'a % in the user name or the password is written %25');
		}
	};
	return {
		scheme,
		host,
		port,
		user: user ? decode(user) : undefined,
		password: rest.length > 0 ? decode(rest.join(':')) : undefined,
	};
}

/** Without user and password: both may be secrets, as a token is. */
export const showServer = ({scheme, host, port}: ClusterServer): string =>
	`${scheme}://${host.includes(':') ? `[${host}]` : host}${port === usualPort ? '' : `:${port}`}`;
