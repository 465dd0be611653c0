import type {Deadline} from '../common/deadline.js';
import {printable, SystemError, type UsageError} from '../common/errors.js';
import {done, failed, notNow, type Outcome, timedOut} from '../common/exit.js';
import {formatDuration} from '../common/formats/duration.js';
import {signalName} from '../common/formats/signal-name.js';
import {printLine, tell, tellError, tellVerbose} from '../common/output.js';
import {commandOf, findHiding} from '../common/process/proc.js';
import {SIGKILL, SIGSTOP} from '../common/process/signals.js';
import {pause} from '../common/waiting.js';
import {NoSuchProcess, ProcessHandle} from '../objects/signals/process-handle.js';
import {clusterReceivers, type DistantReceiver} from '../objects/signals/receivers.js';
import {GroupHandle, ProcessTree, type Recipient, waitForAll, waitUntilStopped} from '../objects/signals/recipient.js';
import {openReceiver} from '../objects/signals/registration.js';
import type {Step} from './escalation.js';
import type {DistantTarget, Target} from './target.js';

/** No event reports that a full queue has room again: look, at growing intervals. */
const longestPauseMs = 50;

/** A process that waits in the kernel stops only after that. */
const longestStopMs = 200;

/** A tree that ignores the signal can grow without end. */
const mostRounds = 100;

export interface DeliverySettings {
	steps: readonly Step[];
	value: number | undefined;
	/** The recipients beside the target itself. */
	scope: 'process' | 'group' | 'tree';
	/** Wait for the end of all of them. */
	waits: boolean;
	/** Several steps: report how each process ended. */
	escalates: boolean;
	deadline: Deadline;
	timeoutMs: number | undefined;
	nonblock: boolean;
	dryRun: boolean;
	json: boolean;
}

/** The result for one recipient, as --json prints it. */
export interface Report {
	target: string;
	pid: number | null;
	/** Of a process on a cluster, as it claims. */
	host?: string;
	group?: number;
	/** The last signal that was sent. */
	signal: string;
	result: 'sent' | 'ended' | 'alive' | 'full' | 'failed' | 'dry-run';
	/** Why it failed. */
	error?: string;
	/** With --escalate: from the first signal to the end, in milliseconds. */
	elapsedMs?: number;
}

interface Sent {
	recipient: Recipient;
	report: Report;
}

/** Sends signals to targets: does all that is possible, reports failures, and knows the status at the end. */
export class Delivery {
	private readonly waitedFor: Sent[] = [];
	/** Recipients that must not get the signal twice. */
	private readonly met = new Set<string>();
	/** What the processes that we wait for were called: once they have ended nothing is found by it any more. */
	private readonly metNumbers = new Set<number>();
	private readonly metGroups = new Set<number>();
	private readonly metNames = new Set<string>();
	private readonly trees: {target: Target; tree: ProcessTree}[] = [];
	private hasFailed = false;
	private isHidingSaid = false;
	private wasFull = false;
	private wasLate = false;
	private outputFailure: {error: unknown} | undefined;

	constructor(private readonly settings: DeliverySettings) {}

	private get firstSignal(): number {
		return (this.settings.steps[0] as Step).signal;
	}

	/** The first signal to one target. */
	send(target: Target): void {
		try {
			const name = signalName(this.firstSignal);
			const tried = this.firstSignal === 0 ? `cannot find ${target.shown}` : `cannot send ${name} to ${target.shown}`;
			const handle = 'pid' in target ? ProcessHandle.open(target.pid, tried) : openReceiver(target.name, tried);
			if ('name' in target) this.metNames.add(target.name);
			if (this.settings.scope === 'tree') this.sendToTree(target, handle);
			else this.sendTo(target, this.settings.scope === 'group' ? new GroupHandle(handle) : handle);
		} catch (error) {
			if (!(error instanceof SystemError)) throw error;
			// The process got the signal as another target, and has ended.
			if (error instanceof NoSuchProcess && this.isWaitedFor(target)) return;
			this.fail(target, 'pid' in target ? target.pid : null, error.message);
		}
	}

	/** Whether it got the signal as another target before, by itself or in its group, and has ended since. */
	private isWaitedFor(target: Target): boolean {
		if (!this.settings.waits) return false;
		if ('name' in target) return this.metNames.has(target.name);
		return this.metNumbers.has(target.pid) || this.waitedFor.some(({recipient}) => recipient.hasMember?.(target.pid));
	}

	/** The same to a process that is found through a cluster. */
	sendFar(target: DistantTarget): void {
		const {json, dryRun, timeoutMs} = this.settings;
		const signal = signalName(this.firstSignal);
		const tried = this.firstSignal === 0 ? `cannot find ${target.shown}` : `cannot send ${signal} to ${target.shown}`;
		let receiver: DistantReceiver | undefined;
		try {
			receiver = clusterReceivers.objects.open(target.address, tried, timeoutMs);
			if (dryRun) receiver.find();
			const result = dryRun ? 'dry-run' : this.sendPatiently(receiver, this.firstSignal);
			const {pid, host} = receiver;
			if (json) this.print(JSON.stringify({target: target.shown, pid, host, signal, result}));
			else if (dryRun) this.print(`${signal} to ${pid} on ${host}`);
			else if (result === 'sent') tellVerbose(`sent ${signal} to ${pid} on ${host}`);
		} catch (error) {
			if (!(error instanceof SystemError)) throw error;
			// A limit that was asked for has its own status.
			const isLate = error.reason === 'no-answer' && timeoutMs !== undefined;
			this.fail(target, receiver?.pid ?? null, error.message, {isLate});
		} finally {
			receiver?.[Symbol.dispose]();
		}
	}

	/** A word that is not a target: the others may be. */
	refuse(word: string, error: UsageError): void {
		this.fail({shown: word, pid: 0}, null, error.message);
	}

	/** Waits, escalates, reports. */
	finish(): Outcome {
		if (this.settings.waits && !this.settings.dryRun) this.waitAndEscalate();
		if (this.outputFailure) throw this.outputFailure.error;
		if (this.hasFailed) return failed;
		if (this.wasLate) return timedOut;
		return this.wasFull ? notNow : done;
	}

	/** Repeats until no new process is found: a child that starts while we send is not missed. */
	private sendToTree(target: Target, root: ProcessHandle): void {
		const tree = new ProcessTree(root);
		this.gather(tree, this.firstSignal);
		if (findHiding() && !this.isHidingSaid) {
			tell('/proc hides processes of other users (hidepid): descendants among them, and theirs, get no signal');
			this.isHidingSaid = true;
		}
		let fresh = tree.all;
		for (let round = 0; fresh.length > 0; round++) {
			for (const handle of fresh) this.sendTo(target, handle, {inTree: true});
			// A process that is only checked lives on, and may start more processes.
			if (this.settings.dryRun || this.firstSignal === 0) break;
			fresh = tree.findMore();
			if (fresh.length > 0 && round === mostRounds) {
				const why = 'it starts new processes faster than they can be found';
				this.fail(target, root.pid, `gave up on the descendants of ${root.pid}: ${why}`);
				break;
			}
		}
		if (this.settings.waits) this.trees.push({target, tree});
		else for (const handle of tree.all) handle[Symbol.dispose]();
	}

	/**
	 * The processes of a tree that were not known before. Processes that are to be killed are stopped first, so that they
	 * start no more: the children of killed processes would be lost to the tree. Other signals leave that to the process,
	 * which may clean up.
	 */
	private gather(tree: ProcessTree, signal: number): ProcessHandle[] {
		const found = tree.findMore();
		if (signal !== SIGKILL || this.settings.dryRun) return found;
		let running = tree.all;
		for (let round = 0; running.length > 0 && round < mostRounds; round++) {
			const stopped = running.filter((handle) => {
				try {
					return handle.trySend(SIGSTOP);
				} catch (error) {
					// The process has ended, or belongs to another user: then it cannot be killed either, which is reported.
					if (!(error instanceof SystemError)) throw error;
					return false;
				}
			});
			waitUntilStopped(stopped, longestStopMs);
			running = tree.findMore();
			found.push(...running);
		}
		return found;
	}

	/** Whether several targets mean one recipient. With single processes each target sends, as with kill(1). */
	private isMetAgain({pid, group, startTime}: Recipient): boolean {
		if (this.settings.scope === 'process' && !this.settings.waits) return false;
		const key = group === undefined ? `${pid} ${startTime}` : `group ${group} ${startTime}`;
		// Without a start time, the process was reaped while it was opened, or the leader of the group was reaped before: it
		// is the process or the group of that number that was met before.
		const isNumberMet = group === undefined ? this.metNumbers.has(pid) : this.metGroups.has(group);
		const isKnown = this.met.has(key) || (startTime === undefined && isNumberMet);
		this.met.add(key);
		this.metNumbers.add(pid);
		if (group !== undefined) this.metGroups.add(group);
		return isKnown;
	}

	private sendTo(target: Target, recipient: Recipient, {inTree = false} = {}): void {
		if (this.isMetAgain(recipient)) {
			if (!inTree) recipient[Symbol.dispose]();
			return;
		}
		const report = this.reportOf(target, recipient, this.firstSignal);
		const {waits, dryRun, json} = this.settings;
		if (waits && recipient instanceof GroupHandle) recipient.findMembers();
		if (waits && !dryRun && recipient.isGone()) {
			report.result = 'ended';
			const said = `${recipient.pid} had already ended`;
			if (this.settings.escalates && !inTree) tell(said);
			else tellVerbose(said);
		} else if (dryRun) {
			report.result = 'dry-run';
			if (!json) this.print(`${report.signal} to ${this.describe(recipient)}`);
		} else {
			this.attempt(target, recipient, report, inTree);
		}
		if (waits && report.result === 'sent') {
			this.waitedFor.push({recipient, report});
			return;
		}
		if (json && report.result !== 'failed') this.print(JSON.stringify(report));
		if (!inTree) recipient[Symbol.dispose]();
	}

	private describe(recipient: Recipient): string {
		if (recipient.group !== undefined) return `the process group ${recipient.group}`;
		return `${recipient.pid} (${printable(commandOf(recipient.pid))})`;
	}

	private reportOf(target: Target, {pid, group}: Recipient, signal: number): Report {
		return {
			target: target.shown,
			pid,
			...(group === undefined ? {} : {group}),
			signal: signalName(signal),
			result: 'sent',
		};
	}

	/** A process that has ended since it was found, as the child of one that got the signal before, is not a failure. */
	private attempt(target: Target, recipient: Recipient, report: Report, wasFound: boolean): void {
		try {
			report.result = this.sendPatiently(recipient, this.firstSignal);
			if (report.result === 'sent') tellVerbose(`sent ${report.signal} to ${this.describe(recipient)}`);
		} catch (error) {
			if (!(error instanceof SystemError)) throw error;
			report.result = wasFound && recipient.isGone() ? 'ended' : 'failed';
			if (report.result === 'failed') this.fail(target, recipient.pid, error.message);
		}
	}

	private sendPatiently(recipient: Recipient | DistantReceiver, signal: number): 'sent' | 'full' {
		for (let pauseMs = 1; !recipient.trySend(signal, this.settings.value); pauseMs *= 2) {
			const {nonblock, deadline} = this.settings;
			const {leftMs} = deadline;
			if (nonblock) this.wasFull = true;
			else if (leftMs === 0) this.wasLate = true;
			const {pid} = recipient;
			const doing = nonblock || leftMs === 0 ? 'no' : 'waiting for';
			if (pauseMs === 1 || doing === 'no')
				tellVerbose(`${doing} room in the queue of ${pid} (RLIMIT_SIGPENDING; see: ipc-signal show ${pid})`);
			if (doing === 'no') return 'full';
			pause(Math.ceil(Math.min(pauseMs, longestPauseMs, leftMs)));
		}
		return 'sent';
	}

	private waitAndEscalate(): void {
		const startMs = performance.now();
		let living = this.waitedFor;
		const tried: string[] = [];
		for (const [i, {signal, waitMs}] of this.settings.steps.entries()) {
			// The first signal has been sent already.
			if (i > 0) {
				for (const one of [...living, ...this.lateBorn(signal)]) this.sendNext(one, signal);
				living = this.waitedFor.filter(({report}) => report.result === 'sent');
			}
			living = living.filter(({report}) => report.result !== 'failed');
			tried.push(signalName(signal));
			const {deadline} = this.settings;
			living = waitForAll(living, Math.min(waitMs ?? Number.POSITIVE_INFINITY, deadline.leftMs), (one) =>
				this.hasEnded(one, tried, performance.now() - startMs),
			);
			if (living.length === 0 || deadline.hasPassed) break;
		}
		this.reportLiving(living, tried);
		if (!this.settings.json) return;
		for (const {report} of this.waitedFor) if (report.result !== 'failed') this.print(JSON.stringify(report));
	}

	private reportLiving(living: readonly Sent[], tried: readonly string[]): void {
		if (living.length === 0) return;
		this.wasLate = true;
		for (const {recipient, report} of living) {
			report.result = 'alive';
			if (this.settings.escalates) tell(`${this.describe(recipient)} is still running after ${tried.join(', ')}`);
		}
		const all = this.waitedFor.length;
		if (!this.settings.escalates && all > 1) tell(`${living.length} of ${all} processes still running`);
	}

	/** Processes that were started in the trees since the last signal. */
	private lateBorn(signal: number): Sent[] {
		const born = this.trees.flatMap(({target, tree}) =>
			this.gather(tree, signal)
				.filter((recipient) => !this.isMetAgain(recipient))
				.map((recipient) => ({recipient, report: this.reportOf(target, recipient, signal)})),
		);
		this.waitedFor.push(...born);
		return born;
	}

	private sendNext({recipient, report}: Sent, signal: number): void {
		// A process that has ended since needs no signal.
		if (recipient.isGone()) return;
		report.signal = signalName(signal);
		try {
			this.sendPatiently(recipient, signal);
			tellVerbose(`sent ${report.signal} to ${this.describe(recipient)}`);
		} catch (error) {
			if (!(error instanceof SystemError)) throw error;
			if (recipient.isGone()) return;
			report.result = 'failed';
			this.fail({shown: report.target, pid: recipient.pid}, recipient.pid, error.message);
		}
	}

	private hasEnded({recipient, report}: Sent, tried: readonly string[], elapsedMs: number): void {
		report.result = 'ended';
		if (!this.settings.escalates) return;
		report.elapsedMs = Math.round(elapsedMs);
		const before = tried.slice(0, tried.indexOf(report.signal));
		const inVain = before.length > 0 ? ` (${before.join(', ')} had no effect)` : '';
		const who = recipient.group === undefined ? `${recipient.pid}` : `the process group ${recipient.group}`;
		tell(`${who} ended on ${report.signal} after ${formatDuration(elapsedMs)}${inVain}`);
	}

	private fail(target: Target | DistantTarget, pid: number | null, message: string, {isLate = false} = {}): void {
		if (isLate) this.wasLate = true;
		else this.hasFailed = true;
		tellError(message);
		const signal = signalName(this.firstSignal);
		if (this.settings.json)
			this.print(JSON.stringify({target: target.shown, pid, signal, result: 'failed', error: message}));
	}

	/**
	 * A stdout that cannot be written to, or has no reader, ends the command after the last signal: it must not keep
	 * signals from other targets, nor leave a tree stopped that was about to be killed.
	 */
	private print(line: string): void {
		if (this.outputFailure) return;
		try {
			printLine(line);
		} catch (error) {
			this.outputFailure = {error};
		}
	}
}
