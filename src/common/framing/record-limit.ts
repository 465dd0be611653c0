import {UsageError} from '../errors.js';

/** How many records to receive: one, a given number, all that are there, or no limit (the last two are Infinity). */
export function recordLimit(options: {count: number | undefined; all: boolean; follow: boolean}): number {
	const limits = [
		options.count !== undefined && '--count',
		options.all && '--all',
		options.follow && '--follow',
	].filter(Boolean);
	if (limits.length > 1) throw new UsageError(`${limits.join(' and ')} cannot be combined`);
	return options.all || options.follow ? Number.POSITIVE_INFINITY : (options.count ?? 1);
}
