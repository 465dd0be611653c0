import {readdirSync, readFileSync, readlinkSync} from 'node:fs';

const read = (path: string): string | undefined => {
	try {
		return readFileSync(path, 'utf8');
	} catch {
		return undefined;
	}
};

/** What a process waits for and has open, for the message of a test that has waited for it in vain. */
export function whereItHangs(pid: number): string {
	const folder = `/proc/${pid}`;
	return [
		`${pid} ${/^State:.*/m.exec(read(`${folder}/status`) ?? '')?.[0] ?? 'has ended'}, in ${read(`${folder}/wchan`)}`,
		`call: ${read(`${folder}/syscall`)?.trim()}`,
		...descriptorsOf(pid).map(([name, target]) => `descriptor ${name}: ${target}`),
	].join('\n');
}

/** Whether a process sleeps in the kernel, in a call that matches: what it waits for is decided. */
export function sleepsIn(pid: number, call: RegExp): boolean {
	return call.test(read(`/proc/${pid}/wchan`) ?? '') && /^State:\s+S/m.test(read(`/proc/${pid}/status`) ?? '');
}

/** The most memory a process ever had, in bytes. */
export function peakMemory(pid: number): number {
	return 1024 * Number(/^VmHWM:\s+([0-9]+) kB/m.exec(read(`/proc/${pid}/status`) ?? '')?.[1] ?? Number.NaN);
}

export const isAlive = (pid: number): boolean => !/^State:\s+Z/m.test(read(`/proc/${pid}/status`) ?? 'State: Z');

export const isStopped = (pid: number): boolean => /^State:\s+T/m.test(read(`/proc/${pid}/status`) ?? '');

/** What a process has open: number and target; nothing once it has ended. */
function descriptorsOf(pid: number): [string, string][] {
	try {
		return readdirSync(`/proc/${pid}/fd`).flatMap((number) => {
			try {
				return [[number, readlinkSync(`/proc/${pid}/fd/${number}`)]];
			} catch {
				return [];
			}
		});
	} catch {
		return [];
	}
}

export const hasOpen = (pid: number, target: RegExp): boolean =>
	descriptorsOf(pid).some(([, found]) => target.test(found));

/** How many sockets a process has open. */
export const socketsOf = (pid: number): number =>
	descriptorsOf(pid).filter(([, target]) => target.startsWith('socket:')).length;

/** Whether a process has a file open for writing; a descriptor that only names the file does not count. */
export const writesTo = (pid: number, path: string): boolean =>
	readdirSync(`/proc/${pid}/fd`).some((number) => {
		try {
			if (readlinkSync(`/proc/${pid}/fd/${number}`) !== path) return false;
		} catch {
			return false;
		}
		const flags = Number.parseInt(
			/^flags:\s+([0-7]+)/m.exec(read(`/proc/${pid}/fdinfo/${number}`) ?? '')?.[1] ?? '0',
			8,
		);
		return (flags & 3) !== 0;
	});

export interface ProcessRow {
	pid: number;
	parent: number;
	group: number;
	/** A letter: proc(5). */
	state: string;
	/** The name of its program, as the kernel cuts it off. */
	name: string;
}

/** Every process, as the kernel has it. */
export const processes = (): ProcessRow[] =>
	readdirSync('/proc')
		.filter((name) => /^[0-9]+$/.test(name))
		.flatMap((pid) => {
			const found = /^[0-9]+ \(([\s\S]*)\) (\S) (-?[0-9]+) (-?[0-9]+) /.exec(read(`/proc/${pid}/stat`) ?? '');
			if (!found) return [];
			const [, name = '', state = '', parent, group] = found;
			return [{pid: Number(pid), parent: Number(parent), group: Number(group), state, name}];
		});

/** The processes that run with exactly these words. */
export const pidsOf = (...words: string[]): number[] =>
	processes()
		.map(({pid}) => pid)
		.filter((pid) => read(`/proc/${pid}/cmdline`) === words.map((word) => `${word}\0`).join(''));
