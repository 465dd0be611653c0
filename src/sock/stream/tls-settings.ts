import {readFileSync} from 'node:fs';
import type {SecureContext} from 'node:tls';
import {attempt, hasCode, quoted, reasonOf, SystemError} from '../../common/errors.js';

/** Paths, as the user gave them. */
export interface Credentials {
	cert: string | undefined;
	key: string | undefined;
	ca: string | undefined;
}

/**
 * node:tls, loaded where it is needed. The variable would have no effect on us, but Node writes a warning about it that
 * says the opposite.
 */
export function loadTls(): Promise<typeof import('node:tls')> {
	delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
	return import('node:tls');
}

const readPem = (path: string): Buffer => attempt(`cannot read ${quoted(path)}`, () => readFileSync(path));

/** The settings for node:tls. */
export interface TlsSettings {
	cert?: Buffer;
	key?: Buffer;
	ca?: Buffer;
}

/**
 * The files' contents, once they have been checked.
 *
 * @throws SystemError that names the file which cannot be read, has no certificate or key in it, or does not fit the
 * other.
 */
export async function tlsSettings({cert, key, ca}: Credentials): Promise<TlsSettings> {
	const {createSecureContext} = await loadTls();
	const {createPrivateKey, X509Certificate} = await import('node:crypto');
	const check = (settings: TlsSettings, tried: string): SecureContext => {
		try {
			return createSecureContext(settings);
		} catch (error) {
			throw new SystemError(`${tried}: ${tlsReason(error as Error)}`);
		}
	};
	const settings: TlsSettings = {};
	const readCertificates = (path: string): Buffer => {
		const text = readPem(path);
		try {
			new X509Certificate(text);
		} catch {
			throw new SystemError(`${quoted(path)} has no certificate in it (PEM is expected)`);
		}
		return text;
	};
	// OpenSSL takes a file without certificates for an empty list, which trusts no peer.
	if (ca !== undefined) {
		settings.ca = readCertificates(ca);
		check({ca: settings.ca}, `cannot use the certificates in ${quoted(ca)}`);
	}
	if (cert !== undefined && key !== undefined) {
		settings.cert = readCertificates(cert);
		settings.key = readPem(key);
		try {
			createPrivateKey(settings.key);
		} catch (error) {
			throw new SystemError(
				hasCode(error, 'ERR_MISSING_PASSPHRASE', 'ERR_OSSL_CRYPTO_INTERRUPTED_OR_CANCELLED')
					? `the private key in ${quoted(key)} is encrypted: it must be stored without a passphrase`
					: `${quoted(key)} has no private key in it (PEM is expected)`,
			);
		}
		check(
			{cert: settings.cert, key: settings.key},
			`cannot use the certificate in ${quoted(cert)} with the key in ${quoted(key)}`,
		);
	}
	return settings;
}

const reasons: Readonly<Record<string, string>> = {
	ECONNREFUSED: 'no process listens there',
	ECONNRESET: 'the peer broke off the connection',
	ENOTFOUND: 'the host is not known',
	EAI_AGAIN: 'the host cannot be looked up now',
	ERR_TLS_HANDSHAKE_TIMEOUT: 'it did not finish its handshake in time',
	ERR_SSL_WRONG_VERSION_NUMBER: 'the peer does not speak TLS',
};

/** The words of OpenSSL without the rest of its message. */
export function tlsReason(error: Error): string {
	// A host with several addresses: why it failed with the first.
	if (error instanceof AggregateError && error.errors[0] instanceof Error) return tlsReason(error.errors[0]);
	const {code = ''} = error as NodeJS.ErrnoException;
	const known = reasons[code];
	if (known) return known;
	return 'reason' in error && typeof error.reason === 'string' ? error.reason : reasonOf(error);
}
