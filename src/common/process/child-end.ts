import {constants} from 'node:os';
import {native} from '../../native/index.js';
import {status, statusFrom} from '../exit.js';
import {signalName} from '../formats/signal-name.js';

/** How a child ended. */
export interface ChildEnd {
	/** Its status, or 128+n when signal n ended it. */
	status: number;
	/** The signal that ended it, such as SIGTERM. */
	signal: string | null;
}

/** How a child ended, in words that follow its name. */
export const describeEnd = ({status, signal = null}: {status: number; signal?: string | null}): string =>
	signal === null ? `exited with status ${status}` : `was killed by ${signal}`;

/** To be called with every child that Node has started, before anything is awaited. */
export function watchEnd(pid: number | undefined): void {
	if (pid !== undefined) native.watchChild(pid);
}

/**
 * How a watched child ended, given what Node says: it takes one that was ended by a real-time signal for one that
 * succeeded.
 */
export function endOf(pid: number | undefined, code: number | null, signal: NodeJS.Signals | null): ChildEnd {
	const known = pid === undefined ? undefined : native.childEnd(pid);
	if (known !== undefined)
		return {status: statusFrom(known), signal: known & 0x7f ? `SIG${signalName(known & 0x7f)}` : null};
	if (signal === null) return {status: code ?? 0, signal};
	return {status: status.signalBase + constants.signals[signal], signal};
}
