import {quoted, UsageError} from '../common/errors.js';
import type {Address} from '../common/formats/object-name.js';
import {formatAddress} from '../common/formats/object-name.js';
import {size} from '../common/formats/size.js';
import {wholeNumber} from '../common/formats/text-format.js';

/** What a FIFO has while it is open, a pipe on a cluster has from the beginning. */
export const clusterAttributes = {
	size: {value: size, help: 'on a cluster: how many bytes it stores (default 8M)'},
	replicas: {value: wholeNumber(1, 5), help: 'on a cluster: how many servers store it (default 1)'},
} as const;
export const {replicas} = clusterAttributes;

/** What only a FIFO has, and what only a pipe on a cluster has. */
export function checkAttributes(
	name: Address,
	options: {mode?: number | undefined; replicas?: number | undefined},
): void {
	const shown = quoted(formatAddress(name));
	if (name.kind !== 'cluster' && options.replicas !== undefined)
		throw new UsageError(`--replicas needs a name on a cluster, and ${shown} is on this machine`);
	if (name.kind === 'cluster' && options.mode !== undefined)
		throw new UsageError(`--mode has no meaning for ${shown}: the server says who may use it`);
}
