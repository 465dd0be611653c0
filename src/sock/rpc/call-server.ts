import {countOf} from '../../common/errors.js';
import {formatSize} from '../../common/formats/size.js';
import {Shutdown} from '../../common/process/shutdown.js';
import type {Listener} from '../../objects/socket/listener.js';
import type {LocalSocket} from '../../objects/socket/local-socket.js';
import {describePeer} from '../../objects/socket/peer.js';
import type {AccessList} from '../access.js';
import {LimitedNotices} from '../limited-notices.js';
import {SharedBudget} from '../shared-budget.js';
import {connectionsOf} from '../stream/accept-loop.js';
import {type Call, type CallRunner, serverRefuses} from './call-runner.js';
import {CallScheduler} from './call-scheduler.js';
import {CallerConnection, type CallQueue} from './caller-connection.js';
import {type CallResult, internalError} from './json-rpc.js';
import type {SplitLimits} from './json-splitter.js';

/** How often silent connections are checked. */
const lookMs = 250;
/** How many clients that were turned away may still be told why: one more, and the oldest is closed. */
export const mostTurnedAway = 64;

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

/** Answers calls of any number of clients. */
export class CallServer implements CallQueue {
	private readonly connections = new Set<CallerConnection>();
	private readonly turnedAway = new Set<CallerConnection>();
	private readonly notices = new LimitedNotices();
	private readonly budget: SharedBudget<CallerConnection>;
	private readonly scheduler: CallScheduler<CallerConnection>;

	constructor(
		private readonly listener: Listener,
		runner: CallRunner,
		private readonly settings: ServeSettings,
	) {
		this.scheduler = new CallScheduler(runner, {...settings, title: listener.shownName});
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
		await this.scheduler.stop(internalError, () => {
			for (const connection of [...this.connections, ...this.turnedAway]) connection.leave();
		});
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
		this.scheduler.submit(connection, call, wantsAnswer, onOutcome);
	}

	abandon(connection: CallerConnection): void {
		this.scheduler.abandon(connection);
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
		this.scheduler.drop(connection, internalError);
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
}
