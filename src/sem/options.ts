import {UsageError} from '../common/errors.js';
import {wholeNumber} from '../common/formats/text-format.js';
import * as common from '../common/options.js';
import {mostUnits} from '../objects/semaphore/semaphore.js';

/** How a semaphore is made, where a verb makes one. */
export const settings = (value: number) =>
	({
		value: {value: wholeNumber(0, mostUnits), help: `units a new one has at first (default ${value})`},
		mode: common.mode,
	}) as const;

export const create = {help: 'make the semaphore first when it is missing'} as const;

/** These are for a semaphore that is made. */
export function checkSettings(options: {create: boolean; value: unknown; mode: unknown}): void {
	if (!options.create && (options.value ?? options.mode) !== undefined)
		throw new UsageError('--value and --mode are for a semaphore that is made: --create is missing');
}
