import {Deadline} from '../common/deadline.js';
import {countOf, quoted} from '../common/errors.js';
import {done, EndBySignal, endedWith, failed, type Outcome, timedOut} from '../common/exit.js';
import {signalFormat, signalName} from '../common/formats/signal-name.js';
import * as common from '../common/options.js';
import {announceReady, tell, tellError} from '../common/output.js';
import {describeEnd} from '../common/process/child-end.js';
import {startChild, takeChanges} from '../common/process/children.js';
import {checkCommand} from '../common/process/run-command.js';
import {SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM} from '../common/process/signals.js';
import {many, verb} from '../common/verb.js';
import {PollSet} from '../common/waiting.js';
import {POLLIN} from '../native/index.js';
import {type RawSignal, receivedSignal} from '../objects/signals/received-signal.js';
import {claimName, type HeldName, receiverName} from '../objects/signals/receivers.js';
import {Signals} from '../objects/signals/signals.js';
import {Forwarder} from './forwarder.js';

/** Maximum number of signals that wait here for a command; more wait in the kernel. */
const mostWaiting = 10_000;

export const on = verb({
	summary: 'Run a command for each signal received',
	operands: {signals: many(signalFormat({receivable: true}))},
	options: {
		jobs: {...common.jobs, help: 'run up to N commands in parallel (default 1)'},
		count: {...common.count, help: 'stop after N signals'},
		name: {value: receiverName, help: 'let senders use @NAME for this process'},
		timeout: {...common.timeout, help: 'give up after DURATION without a signal (status 124)'},
		timeoutStatus: common.timeoutStatus,
		readyFd: common.readyFd,
	},
	cluster: true,
	takesCommand: true,
	examples: [
		{purpose: 'rotate logs on SIGHUP', line: 'ipc-signal on HUP --name rotor -- ./rotate-logs'},
		{
			purpose: 'print the sender and value of each signal',
			line: "ipc-signal on USR1 RTMIN -- sh -c 'echo $IPC_SENDER_PID $IPC_VALUE'",
		},
	],
	waitsFor: ({signals}) => signals.map(signalName).join(', '),
	run({signals: wanted}, options, command): Outcome {
		checkCommand(command);
		const stops = [SIGHUP, SIGINT, SIGQUIT, SIGTERM].filter((number) => !wanted.includes(number));
		Signals.block([...wanted, SIGCHLD, ...stops]);
		using arriving = Signals.ofBlocked(wanted.filter((number) => number !== SIGCHLD));
		using control = Signals.ofBlocked([SIGCHLD, ...stops]);
		using name = options.name === undefined ? undefined : claimName(options.name, wanted);
		announceReady(options.readyFd);
		const handler = new Handler(
			command,
			{arriving, control, wantsChild: wanted.includes(SIGCHLD)},
			{
				jobs: options.jobs ?? 1,
				most: options.count ?? Number.POSITIVE_INFINITY,
				timeoutMs: options.timeout,
			},
			name,
		);
		return handler.run();
	},
});

/** Receives signals as they arrive, and runs the command for them in that order. */
class Handler {
	private readonly waiting: RawSignal[] = [];
	private readonly poll = new PollSet<'control' | 'arriving'>();
	private readonly running = new Map<number, Forwarder>();
	private received = 0;
	private hasFailed = false;
	private stop: number | undefined;
	/** The command cannot be run at all. */
	private problem: number | undefined;
	/** Until when another signal has to come, while nothing runs. */
	private deadline: Deadline;

	constructor(
		private readonly command: readonly string[],
		private readonly sources: {arriving: Signals; control: Signals; wantsChild: boolean},
		private readonly limits: {jobs: number; most: number; timeoutMs: number | undefined},
		private readonly name: HeldName | undefined,
	) {
		this.deadline = new Deadline(limits.timeoutMs);
	}

	run(): Outcome {
		for (;;) {
			while (!this.isEnding() && this.waiting.length > 0 && this.running.size < this.limits.jobs)
				this.start(this.waiting.shift() as RawSignal);
			if (this.running.size === 0) {
				if (this.isEnding()) return this.end();
				if (this.received >= this.limits.most) return this.hasFailed ? failed : done;
				if (this.deadline.hasPassed) return timedOut;
			}
			this.waitForMore();
		}
	}

	private isEnding(): boolean {
		return this.stop !== undefined || this.problem !== undefined;
	}

	private start(signal: RawSignal): void {
		const {signal: name, pid, uid, value} = receivedSignal(signal);
		const child = startChild(this.command, {
			...process.env,
			IPC_SIGNAL: name,
			IPC_SENDER_PID: String(pid),
			IPC_SENDER_UID: String(uid),
			IPC_SENDER_HOST: this.name?.hostOf(signal.mark),
			IPC_VALUE: value === null ? undefined : String(value),
		});
		if (typeof child === 'object') {
			tellError(child.problem);
			this.problem = child.status;
			this.waiting.unshift(signal);
			return;
		}
		this.running.set(child, new Forwarder(child, {toGroup: false, translations: new Map()}));
	}

	private waitForMore(): void {
		const mayTake = !this.isEnding() && this.received < this.limits.most && this.waiting.length < mostWaiting;
		this.poll.watch('control', this.sources.control.pollDescriptor, POLLIN);
		this.poll.watch('arriving', mayTake ? this.sources.arriving.pollDescriptor : -1, POLLIN);
		this.poll.wait(this.running.size === 0 ? this.deadline.waitMs() : -1);
		for (const signal of this.sources.control.takeRaw()) this.heed(signal);
		for (const change of takeChanges()) if (change.status !== undefined) this.ended(change.pid, change.status);
		if (!mayTake) return;
		const room = Math.min(this.limits.most - this.received, mostWaiting - this.waiting.length);
		for (const signal of this.sources.arriving.takeRaw(room)) this.receive(signal);
	}

	private receive(signal: RawSignal): void {
		this.received++;
		this.waiting.push(signal);
		this.deadline = new Deadline(this.limits.timeoutMs);
	}

	/** A child has changed, or a signal tells us to stop: then stop the running commands too. */
	private heed(signal: RawSignal): void {
		if (signal.number === SIGCHLD) {
			if (this.sources.wantsChild && signal.code <= 0) this.receive(signal);
			return;
		}
		this.stop ??= signal.number;
		for (const forwarder of this.running.values()) forwarder.pass(signal);
	}

	private ended(pid: number, status: number): void {
		const forwarder = this.running.get(pid);
		if (!forwarder) return;
		forwarder[Symbol.dispose]();
		this.running.delete(pid);
		this.deadline = new Deadline(this.limits.timeoutMs);
		if (status === 0) return;
		this.hasFailed = true;
		if (this.stop === undefined) tell(`${quoted(this.command[0] as string)} ${describeEnd({status})}`);
	}

	private end(): Outcome {
		const rest = this.waiting.length + [...this.sources.arriving.takeRaw()].length;
		if (rest > 0) tellError(`received ${countOf(rest, 'signal')} without running the command`);
		if (this.stop !== undefined) throw new EndBySignal(this.stop);
		return endedWith(this.problem as number);
	}
}
