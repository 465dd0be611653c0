import {accessSync, constants} from 'node:fs';
import {join} from 'node:path';

export const isInstalled = (program: string): boolean =>
	(process.env.PATH ?? '').split(':').some((folder) => {
		try {
			accessSync(join(folder, program), constants.X_OK);
			return true;
		} catch {
			return false;
		}
	});

/**
 * The options of a test that needs these programs besides Node, a C compiler and what every Linux has (bash, coreutils, grep, sed):
 * where one is missing the test is skipped, and the last line of the run names it.
 */
export function needs(...programs: string[]): {skip: string | false} {
	const missing = programs.filter((program) => !isInstalled(program));
	return {skip: missing.length > 0 && `needs ${missing.join(', ')}`};
}
