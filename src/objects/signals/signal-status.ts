import {readdirSync} from 'node:fs';
import {signalName} from '../../common/formats/signal-name.js';
import {statusFields} from '../../common/process/process-status.js';

/** What TERM would do now. */
export type OnTerm = 'ends' | 'caught' | 'ignored' | 'blocked' | 'stopped' | 'init' | 'kernel-thread' | 'zombie';

export interface ThreadStatus {
	tid: number;
	command: string;
	/** Sent to this very thread. */
	pending: string[];
	blocked: string[];
}

/** What `show --json` prints. */
export interface SignalStatus {
	pid: number;
	/** The kernel's name of the process: 15 characters at most. */
	command: string;
	/** Sent to the process or to one of its threads, and not yet received. */
	pending: string[];
	/** By all of its threads. */
	blocked: string[];
	ignored: string[];
	caught: string[];
	/** Signals queued for all processes of its real user, and the maximum. RLIMIT_SIGPENDING in getrlimit(2) */
	queued: number;
	queueLimit: number;
	onTerm: OnTerm;
	threads?: ThreadStatus[];
}

const everything = 2n ** 64n - 1n;

const maskOf = (fields: ReadonlyMap<string, string>, name: string): bigint => BigInt(`0x${fields.get(name) ?? '0'}`);

/** Bit 0 is signal 1. */
function namesOf(mask: bigint): string[] {
	const names: string[] = [];
	for (let number = 1; number <= 64; number++) if ((mask >> BigInt(number - 1)) & 1n) names.push(signalName(number));
	return names;
}

/** Undefined when there is no such process. proc(5), /proc/pid/status */
export function signalStatus(pid: number, withThreads: boolean): SignalStatus | undefined {
	const fields = statusFields(`/proc/${pid}/status`);
	// A thread that does not lead a process has such a file too.
	if (!fields || fields.get('Tgid') !== String(pid)) return undefined;
	const threads = threadsOf(pid);
	const pending = threads.reduce((mask, one) => mask | maskOf(one, 'SigPnd'), maskOf(fields, 'ShdPnd'));
	const blocked = threads.reduce((mask, one) => mask & maskOf(one, 'SigBlk'), threads.length > 0 ? everything : 0n);
	const [queued, queueLimit] = (fields.get('SigQ') ?? '0/0').split('/').map(Number) as [number, number];
	const status: SignalStatus = {
		pid,
		command: fields.get('Name') ?? '?',
		pending: namesOf(pending),
		blocked: namesOf(blocked),
		ignored: namesOf(maskOf(fields, 'SigIgn')),
		caught: namesOf(maskOf(fields, 'SigCgt')),
		queued,
		queueLimit,
		onTerm: 'ends',
	};
	status.onTerm = onTerm(fields, status);
	if (withThreads)
		status.threads = threads.map((one) => ({
			tid: Number(one.get('Pid')),
			command: one.get('Name') ?? '?',
			pending: namesOf(maskOf(one, 'SigPnd')),
			blocked: namesOf(maskOf(one, 'SigBlk')),
		}));
	return status;
}

function threadsOf(pid: number): Map<string, string>[] {
	let tids: string[];
	try {
		tids = readdirSync(`/proc/${pid}/task`);
	} catch {
		return [];
	}
	return tids.flatMap((tid) => statusFields(`/proc/${pid}/task/${tid}/status`) ?? []);
}

function onTerm(fields: ReadonlyMap<string, string>, {ignored, caught, blocked}: SignalStatus): OnTerm {
	const state = fields.get('State')?.[0];
	if (state === 'Z' || state === 'X') return 'zombie';
	// Newer kernels tell; in any case it has no memory of its own.
	if (fields.get('Kthread') === '1' || !fields.has('VmSize')) return 'kernel-thread';
	if (ignored.includes('TERM')) return 'ignored';
	if (blocked.includes('TERM')) return 'blocked';
	if (caught.includes('TERM')) return 'caught';
	if (fields.get('NSpid')?.split('\t').at(-1) === '1') return 'init';
	return state === 'T' || state === 't' ? 'stopped' : 'ends';
}

const sentences: Record<OnTerm, string> = {
	ends: 'would end the process',
	caught: 'would run the handler of the process, which may or may not end it',
	ignored: 'would do nothing: the process ignores TERM',
	blocked: 'would stay pending until the process accepts or unblocks it: the process blocks TERM',
	stopped: 'would end the process when it continues: it is stopped (CONT continues it)',
	init: 'would do nothing: the process is the first of a PID namespace and has no handler for TERM',
	'kernel-thread': 'would do nothing: the process is a kernel thread',
	zombie: 'would do nothing: the process has ended, and its parent has not collected its status yet',
};

export const describeTerm = ({onTerm}: SignalStatus): string => sentences[onTerm];
