import {readFileSync} from 'node:fs';
import {attempt, quoted} from '../common/errors.js';

/** Paths, as the user gave them. */
export interface Credentials {
	cert: string | undefined;
	key: string | undefined;
	ca: string | undefined;
}

const readPem = (path: string | undefined): Buffer | undefined =>
	path === undefined ? undefined : attempt(`cannot read ${quoted(path)}`, () => readFileSync(path));

/** What node:tls takes. */
export function tlsSettings({cert, key, ca}: Credentials): {cert?: Buffer; key?: Buffer; ca?: Buffer} {
	const files = {cert: readPem(cert), key: readPem(key), ca: readPem(ca)};
	return Object.fromEntries(Object.entries(files).filter(([, text]) => text !== undefined));
}
