import {countOf, quoted} from '../../common/errors.js';
import {formatDuration} from '../../common/formats/duration.js';
import {formatSize} from '../../common/formats/size.js';
import {Shutdown} from '../../common/process/shutdown.js';
import {version} from '../../common/version.js';
import type {LocalSocket} from '../../objects/socket/local-socket.js';
import {describePeer} from '../../objects/socket/peer.js';
import type {AccessList} from '../access.js';
import {LimitedNotices} from '../limited-notices.js';
import {SharedBudget} from '../shared-budget.js';
import {connectionsOf} from '../stream/accept-loop.js';
import {type Call, type CallRunner, defect, methodTimedOut, type RunningCall, serverRefuses} from './call-runner.js';
import {CallerConnection, type CallQueue} from './caller-connection.js';
import {type CallError, type CallResult, internalError, methodNotFound} from './json-rpc.js';
import type {SplitLimits} from './json-splitter.js';

/** How often silent connections are checked. */
const lookMs = 250;
/** How many clients that were turned away may still be told why: one more, and the oldest is closed. */
const mostTurnedAway = 64;

export interface ServeSettings {
	/** Maximum number of parallel calls, of all clients together. */
	jobs: number;
	/** How long a call may take; negative: without limit. */
	timeoutMs: number;
	/** How long a client may take to send one message. */
	idleMs: number;
	mostConnections: number;
	limits: SplitLimits;
	/** What may be held for all clients together, in bytes. */
	mostHeld: number;
	access: AccessList;
	/** Whether the kernel identifies the peer. */
	isLocal: boolean;
}

interface Task {
	connection: CallerConnection;
	call: Call;
	wantsAnswer: boolean;
	onOutcome(outcome: CallResult): void;
}

/** Answers calls of any number of clients; the clients take turns when there are more calls than may run at once. */
export class CallServer implements CallQueue {
	private readonly connections = new Set<CallerConnection>();
	private readonly turnedAway = new Set<CallerConnection>();
	private readonly waiting = new Map<CallerConnection, Task[]>();
	private readonly running = new Map<RunningCall, Task>();
	private readonly notices = new LimitedNotices();
	private readonly budget: SharedBudget<CallerConnection>;
	private isStopping = false;

	constructor(
		private readonly listener: LocalSocket,
		private readonly runner: CallRunner,
		private readonly settings: ServeSettings,
	) {
		this.budget = new SharedBudget(settings.mostHeld, (connection) => this.cutOff(connection));
	}

	/** Accepts connections until a signal stops the server. */
	async run(): Promise<void> {
		// Calls have process groups of their own: signals of a terminal do not reach them but through us.
		using stopping = new Shutdown();
		const look = setInterval(() => this.lookAtConnections(), lookMs);
		try {
			for await (const connection of connectionsOf(this.listener, stopping.stopped)) this.welcome(connection);
		} finally {
			clearInterval(look);
			this.listener.close();
		}
		await this.stop();
		stopping.finish();
	}

	/** Ends all running calls; no client gets an answer any more. */
	private async stop(): Promise<void> {
		this.isStopping = true;
		const running = [...this.running.keys()];
		for (const each of running) each.stop(internalError);
		for (const connection of [...this.connections, ...this.turnedAway]) connection.leave();
		await Promise.all(running.map(({ended}) => ended));
		await this.runner.close();
		this.notices.finish();
		this.settings.access.finish();
	}

	private welcome(accepted: LocalSocket): void {
		const {access, isLocal, limits, mostConnections} = this.settings;
		const isAdmitted = !isLocal || access.admits(accepted);
		const caller = isLocal ? accepted.peer : undefined;
		const connection = new CallerConnection(accepted.descriptor, caller, this, limits);
		if (!isAdmitted) {
			this.turnAway(connection, 'You are not allowed to call here');
		} else if (this.connections.size >= mostConnections) {
			this.report(`refused a client: there are already ${countOf(mostConnections, 'connection')} (--max)`);
			this.turnAway(connection, 'Too many connections');
		} else {
			this.connections.add(connection);
		}
	}

	/** Clients that are turned away do not count as connections, and no more than a few of them may linger. */
	private turnAway(connection: CallerConnection, message: string): void {
		this.turnedAway.add(connection);
		connection.turnAway(serverRefuses, message);
		const [oldest] = this.turnedAway;
		if (this.turnedAway.size > mostTurnedAway) oldest?.leave();
	}

	submit(
		connection: CallerConnection,
		call: Call,
		wantsAnswer: boolean,
		onOutcome: (outcome: CallResult) => void,
	): void {
		if (call.method === 'rpc.discover') {
			onOutcome(attempted(call, () => this.discover()));
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

	account(connection: CallerConnection, bytes: number): void {
		this.budget.set(connection, bytes);
	}

	get isCrowded(): boolean {
		return this.budget.isCrowded;
	}

	private cutOff(connection: CallerConnection): void {
		const {caller} = connection;
		const who = caller ? describePeer(caller) : 'a client';
		const most = formatSize(this.settings.mostHeld);
		this.report(
			`disconnected ${who}: more than ${most} would be held for all clients, and this client holds most of it`,
		);
		connection.giveWay();
		// Notifications of a client that has left or leaves now: only we learn of them.
		const tasks = this.waiting.get(connection) ?? [];
		this.waiting.delete(connection);
		for (const {onOutcome} of tasks) onOutcome({error: internalError});
	}

	report(message: string): void {
		this.notices.tell(message);
	}

	leave(connection: CallerConnection): void {
		this.connections.delete(connection);
		this.turnedAway.delete(connection);
	}

	private lookAtConnections(): void {
		const now = performance.now();
		for (const connection of this.connections) connection.look(now, this.settings.idleMs);
	}

	/** The connection that has waited longest is first, and goes to the end of the list then. */
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
		const running = attempted(call, () => this.runner.start(call) ?? {error: methodNotFound});
		if (!('outcome' in running)) {
			onOutcome(running);
			return;
		}
		this.running.set(running, task);
		const {timeoutMs} = this.settings;
		const timer =
			timeoutMs < 0
				? undefined
				: setTimeout(() => {
						const message = `${quoted(call.method)} timed out after ${formatDuration(timeoutMs)}`;
						running.stop({code: methodTimedOut, message});
					}, timeoutMs);
		running.outcome.then(onOutcome).catch((error) => defect(call.method, error));
		running.ended.then(() => {
			clearTimeout(timer);
			this.running.delete(running);
			this.startNext();
		});
	}

	/** OpenRPC's way of describing a server: https://spec.open-rpc.org */
	private discover(): CallResult {
		const names = this.runner.methods();
		if (!names) return {error: methodNotFound};
		const methods = names.map((name) => ({name, params: [], result: {name: 'result', schema: {}}}));
		return {result: JSON.stringify({openrpc: '1.3.2', info: {title: this.listener.shownName, version}, methods})};
	}
}

/** An error of one call must not end the server, and the other calls with it. */
function attempted<Done>({method}: Call, action: () => Done): Done | {error: CallError} {
	try {
		return action();
	} catch (error) {
		return {error: defect(method, error)};
	}
}
