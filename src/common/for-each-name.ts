import {keepConnected} from './cluster.js';
import {SystemError} from './errors.js';
import {OutputError, tellError} from './output.js';

/** Calls `work` for each name and continues after a failure, which is reported; returns whether all succeeded. */
export function forEachName<Name>(names: readonly Name[], work: (name: Name) => void): boolean {
	let allWell = true;
	using _ = keepConnected(names);
	for (const name of names) {
		try {
			work(name);
		} catch (error) {
			if (!(error instanceof SystemError) || error instanceof OutputError) throw error;
			tellError(error.message);
			allWell = false;
		}
	}
	return allWell;
}
