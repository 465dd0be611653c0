import {systemErrors} from 'ipc-tools:system-errors';

/** An error of the kernel as Node makes it: the build takes the names and texts from Node itself. */
export function systemError(result: number, syscall: string, path?: string, dest?: string): Error {
	const [code, text] = systemErrors()[-result] ?? [`Unknown system error ${result}`, `Unknown system error ${result}`];
	const places = (path === undefined ? '' : ` '${path}'`) + (dest === undefined ? '' : ` -> '${dest}'`);
	const error = new Error(`${code}: ${text}, ${syscall}${places}`);
	return Object.assign(error, {errno: result, code, syscall}, path === undefined ? {} : {path});
}

/** node:util's, as far as it is used: by negative error number, name and text. */
export const getSystemErrorMap = (): Map<number, [string, string]> =>
	new Map(Object.entries(systemErrors()).map(([number, entry]) => [-Number(number), entry]));
