import {setTimeout as sleep} from 'node:timers/promises';
import {formatDuration} from '../common/duration.js';
import {hasCode, SystemError} from '../common/errors.js';
import {tell} from '../common/output.js';
import {version} from '../common/version.js';
import {native, POLLIN} from '../native/index.js';
import {type Call, type CallRunner, methodTimedOut, type RunningCall, serverRefuses} from './call-runner.js';
import {CallerConnection, type CallQueue} from './caller-connection.js';
import {type CallResult, internalError, methodNotFound} from './json-rpc.js';
import type {SplitLimits} from './json-splitter.js';
import type {LocalSocket} from './local-socket.js';

/** A wait in libuv's pool has to end now and then. */
const sliceMs = 500;
/** How often connections are looked at that say nothing. */
const lookMs = 250;

export interface ServeSettings {
	/** Calls at a time, of all clients together. */
	jobs: number;
	/** How long a call may take; negative: for ever. */
	timeoutMs: number;
	/** How long a client may take over one message. */
	idleMs: number;
	mostConnections: number;
	limits: SplitLimits;
	/** Why this client is not served; undefined when it is. */
	refuses(connection: LocalSocket): string | undefined;
}

interface Task {
	connection: CallerConnection;
	call: Call;
	wantsAnswer: boolean;
	onOutcome(outcome: CallResult): void;
}

/** Answers calls of any number of clients, each of which has its turn when there is more to do than hands. */
export class CallServer implements CallQueue {
	private readonly connections = new Set<CallerConnection>();
	private readonly waiting = new Map<CallerConnection, Task[]>();
	private readonly running = new Map<RunningCall, Task>();
	private isStopping = false;
	private onIdle: (() => void) | undefined;

	constructor(
		private readonly listener: LocalSocket,
		private readonly runner: CallRunner,
		private readonly settings: ServeSettings,
	) {}

	/** Takes connections until it is stopped. */
	async run(): Promise<void> {
		const look = setInterval(() => this.lookAtConnections(), lookMs);
		try {
			while (!this.isStopping) {
				if (await native.pollInBackground(this.listener.descriptor, POLLIN, sliceMs)) await this.acceptAll();
			}
		} finally {
			clearInterval(look);
		}
		if (this.running.size > 0)
			await new Promise<void>((resolve) => {
				this.onIdle = resolve;
			});
		await this.runner.close();
	}

	/** Ends all that runs; nobody gets an answer any more. */
	stop(): void {
		this.isStopping = true;
		for (const running of this.running.keys()) running.stop(internalError);
		for (const connection of this.connections) connection.leave();
	}

	submit(
		connection: CallerConnection,
		call: Call,
		wantsAnswer: boolean,
		onOutcome: (outcome: CallResult) => void,
	): void {
		if (call.method === 'rpc.discover') {
			onOutcome(this.discover());
			return;
		}
		const task = {connection, call, wantsAnswer, onOutcome};
		const tasks = this.waiting.get(connection);
		if (tasks) tasks.push(task);
		else this.waiting.set(connection, [task]);
		this.startNext();
	}

	abandon(connection: CallerConnection): void {
		const tasks = this.waiting.get(connection) ?? [];
		this.waiting.delete(connection);
		const kept = tasks.filter(({wantsAnswer}) => !wantsAnswer);
		if (kept.length > 0) this.waiting.set(connection, kept);
		for (const {wantsAnswer, onOutcome} of tasks) if (wantsAnswer) onOutcome({error: internalError});
		for (const [running, task] of this.running)
			if (task.connection === connection && task.wantsAnswer) running.abandon();
	}

	leave(connection: CallerConnection): void {
		this.connections.delete(connection);
	}

	private async acceptAll(): Promise<void> {
		const {settings} = this;
		try {
			for (let accepted = this.listener.tryAccept(); accepted; accepted = this.listener.tryAccept()) {
				const refusal = settings.refuses(accepted);
				const connection = new CallerConnection(accepted.descriptor, accepted.peer, this, settings.limits);
				this.connections.add(connection);
				if (refusal !== undefined) {
					tell(refusal);
					connection.turnAway(serverRefuses, 'not allowed');
				} else if (this.connections.size > settings.mostConnections) {
					tell(`turned a client away: there are ${settings.mostConnections} connections already (--max)`);
					connection.turnAway(serverRefuses, 'too many connections');
				}
			}
		} catch (error) {
			// Those that wait go on waiting until somebody else has left.
			if (!(error instanceof SystemError) || !hasCode(error.cause, 'EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS'))
				throw error;
			tell(error.message);
			await sleep(lookMs);
		}
	}

	private lookAtConnections(): void {
		const now = performance.now();
		for (const connection of this.connections) connection.look(now, this.settings.idleMs);
	}

	/** The connection that has waited longest is first, and the last one then. */
	private startNext(): void {
		while (this.running.size < this.settings.jobs && !this.isStopping) {
			const [connection, tasks] = this.waiting.entries().next().value ?? [];
			const task = tasks?.shift();
			if (!connection || !tasks || !task) return;
			this.waiting.delete(connection);
			if (tasks.length > 0) this.waiting.set(connection, tasks);
			this.start(task);
		}
	}

	private start(task: Task): void {
		const {call, onOutcome} = task;
		const running = this.runner.start(call);
		if (!running) {
			onOutcome({error: methodNotFound});
			return;
		}
		this.running.set(running, task);
		const {timeoutMs} = this.settings;
		const timer =
			timeoutMs < 0
				? undefined
				: setTimeout(() => {
						const message = `'${call.method}' timed out after ${formatDuration(timeoutMs)}`;
						running.stop({code: methodTimedOut, message});
					}, timeoutMs);
		running.outcome.then(onOutcome);
		running.ended.then(() => {
			clearTimeout(timer);
			this.running.delete(running);
			if (this.running.size === 0) this.onIdle?.();
			this.startNext();
		});
	}

	/** OpenRPC's way of telling what there is: https://spec.open-rpc.org */
	private discover(): CallResult {
		const names = this.runner.methods();
		if (!names) return {error: methodNotFound};
		const methods = names.map((name) => ({name, params: [], result: {name: 'result', schema: {}}}));
		return {result: JSON.stringify({openrpc: '1.3.2', info: {title: this.listener.shownName, version}, methods})};
	}
}
