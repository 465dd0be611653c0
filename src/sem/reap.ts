import {SystemError} from '../common/errors.js';
import {done, failed} from '../common/exit.js';
import {forEachName} from '../common/for-each-name.js';
import {type Address, formatAddress} from '../common/formats/object-name.js';
import {json} from '../common/options.js';
import {printJson, printLine, tellVerbose} from '../common/output.js';
import {any, verb} from '../common/verb.js';
import {Semaphore} from '../objects/semaphore/semaphore.js';
import {allSemaphores} from '../objects/semaphore/semaphore-status.js';
import {semaphoreName, semaphoresAt} from '../objects/semaphore/semaphores.js';

export const reap = verb({
	summary: 'Release the units of dead holders and print how many each semaphore got back',
	operands: {names: any(semaphoreName)},
	options: {json},
	cluster: true,
	examples: [{purpose: 'check all semaphores', line: 'ipc-sem reap'}],
	run({names}, options) {
		const report = (name: string, reaped: number): void => {
			if (options.json) printJson({name, reaped});
			else if (reaped > 0) printLine(`${name} ${reaped}`);
		};
		if (names.length > 0) {
			const allWell = forEachName(names, (name) => {
				using semaphore = semaphoresAt(name).open(name);
				report(formatAddress(name), semaphore.reap());
			});
			return allWell ? done : failed;
		}
		for (const name of allSemaphores()) {
			const reaped = tryReap(name);
			if (reaped !== undefined) report(formatAddress(name), reaped);
		}
		return done;
	},
});

/**
 * Undefined for the semaphore of another user, and for what is not a semaphore: the others are reaped all the same. A
 * function of its own, because esbuild's `using` in a loop throws the error of an earlier round again.
 */
function tryReap(name: Address): number | undefined {
	try {
		using semaphore = Semaphore.tryOpen(name);
		return semaphore?.reap();
	} catch (error) {
		if (!(error instanceof SystemError)) throw error;
		tellVerbose(error.message);
		return undefined;
	}
}
