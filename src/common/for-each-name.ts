import {SystemError} from './errors.js';
import {tellError} from './output.js';

/** Does something for each name and goes on past a failure, which is said; answers whether all went well. */
export function forEachName<Name>(names: readonly Name[], work: (name: Name) => void): boolean {
	let allWell = true;
	for (const name of names) {
		try {
			work(name);
		} catch (error) {
			if (!(error instanceof SystemError)) throw error;
			tellError(error.message);
			allWell = false;
		}
	}
	return allWell;
}
