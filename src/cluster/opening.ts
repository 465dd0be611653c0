import {quoted, SystemError} from '../common/errors.js';
import type {ClusterAddress} from '../common/formats/cluster-address.js';
import type {Address} from '../common/formats/object-name.js';
import {attemptOnCluster, Refusal} from './refusal.js';

/** What opening has in common for all kinds of objects. */

export function onCluster(address: Address): ClusterAddress {
	if (address.kind !== 'cluster') throw new Error(`not on a cluster: ${address.kind}`);
	return address;
}

/** Undefined when the object does not exist. */
export function tryOpenAt<Opened>(address: ClusterAddress, open: () => Opened): Opened | undefined {
	try {
		return open();
	} catch (error) {
		if (error instanceof Refusal && error.reason === 'no-such') return undefined;
		return attemptOnCluster(`cannot open ${quoted(address.shown)}`, () => {
			throw error;
		});
	}
}

/** Opens, and makes the object first where it is missing and `make` is given. `kind` is a word for the object. */
export function openAt<Opened>(
	{shown}: ClusterAddress,
	kind: string,
	tryOpen: () => Opened | undefined,
	make: (() => void) | undefined,
): Opened {
	// Another process may make and remove it meanwhile: a few rounds settle that.
	for (let round = 0; round < 10; round++) {
		const found = tryOpen();
		if (found) return found;
		if (!make) break;
		make();
	}
	throw new SystemError(`cannot open ${quoted(shown)}: no such ${kind}`, {reason: `no-${kind}`, subject: shown});
}
