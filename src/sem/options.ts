import {UsageError} from '../common/errors.js';
import {wholeNumber} from '../common/formats/text-format.js';
import * as common from '../common/options.js';
import {mostUnits} from '../objects/semaphore/semaphore.js';

/** The settings of a new semaphore, for verbs that make one. */
export const settings = (value: number) =>
	({
		value: {value: wholeNumber(0, mostUnits), help: `initial value of a new semaphore (default ${value})`},
		mode: common.mode,
		replicas: {
			only: 'cluster',
			value: wholeNumber(1, 5),
			help: 'on a cluster: store it on at least N servers (default 1)',
		},
	}) as const;

export const create = {help: 'create the semaphore if it does not exist'} as const;

/** These settings need a new semaphore. */
export function checkSettings(options: {create: boolean; value: unknown; mode: unknown; replicas: unknown}): void {
	if (options.create) return;
	if ((options.value ?? options.mode) !== undefined) throw new UsageError('--value and --mode need --create');
	if (options.replicas !== undefined) throw new UsageError('--replicas needs --create');
}
