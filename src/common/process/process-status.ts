import {readFileSync} from 'node:fs';

/** The status of one process from /proc; undefined when there is no process with that PID. proc(5) */
export interface ProcessStat {
	name: string;
	/** R, S, D, T, t, Z, X, I. */
	state: string;
	parent: number;
	group: number;
	/** The process group in the foreground of its terminal; -1 where it has none. */
	foreground: number;
	/** In clock ticks since the machine started: with the pid it names a process for good. */
	startTime: number;
}

export function processStat(pid: number): ProcessStat | undefined {
	let text: string;
	try {
		text = readFileSync(`/proc/${pid}/stat`, 'utf8');
	} catch {
		return undefined;
	}
	// The name stands in brackets and may hold anything, brackets too.
	const name = text.slice(text.indexOf('(') + 1, text.lastIndexOf(')'));
	const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
	return {
		name,
		state: fields[0] as string,
		parent: Number(fields[1]),
		group: Number(fields[2]),
		foreground: Number(fields[5]),
		startTime: Number(fields[19]),
	};
}

/** Whether it has ended, also when its parent has not collected its status yet. */
export const hasEnded = (stat: ProcessStat | undefined): boolean =>
	stat === undefined || stat.state === 'Z' || stat.state === 'X';

/** The fields of /proc/PID/status, by name. */
export function statusFields(path: string): Map<string, string> | undefined {
	let text: string;
	try {
		text = readFileSync(path, 'utf8');
	} catch {
		return undefined;
	}
	return new Map(
		text.split('\n').map((line) => {
			const colon = line.indexOf(':');
			return [line.slice(0, colon), line.slice(colon + 1).trim()];
		}),
	);
}
