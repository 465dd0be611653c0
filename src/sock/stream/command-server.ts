import {quoted} from '../../common/errors.js';
import {done, endedWith, type Outcome, timedOut} from '../../common/exit.js';
import {tellError, tellVerbose} from '../../common/output.js';
import {describeEnd} from '../../common/process/child-end.js';
import {startCommand} from '../../common/process/run-command.js';
import {Shutdown} from '../../common/process/shutdown.js';
import {native, O_NONBLOCK} from '../../native/index.js';
import type {Listener} from '../../objects/socket/listener.js';
import type {LocalSocket} from '../../objects/socket/local-socket.js';
import {describePeer, peerEnvironment} from '../../objects/socket/peer.js';
import type {AccessList} from '../access.js';
import {connectionsOf} from './accept-loop.js';

export interface CommandServing {
	command: readonly string[];
	access: AccessList;
	isLocal: boolean;
	/** The server ends after this many connections. */
	most: number;
	/** Maximum number of connections; other clients wait in the listener's queue. */
	atOnce: number;
	/** How long to wait for a client while none is served; negative: without limit. */
	timeoutMs: number;
}

/** Runs a command per connection, with the connection as its stdin and stdout. */
export class CommandServer {
	private readonly running = new Set<Promise<void>>();
	private hasTimedOut = false;
	private lastStatus = 0;

	constructor(
		private readonly listener: Listener,
		private readonly serving: CommandServing,
	) {}

	/** With one connection the status is the command's; with several it is 0, and each failure is reported. */
	async run(): Promise<Outcome> {
		const {access, most, atOnce, timeoutMs} = this.serving;
		using stopping = new Shutdown();
		let timer: NodeJS.Timeout | undefined;
		const watchSilence = () => {
			clearTimeout(timer);
			if (timeoutMs < 0) return;
			timer = setTimeout(() => {
				if (this.running.size > 0) return;
				this.hasTimedOut = true;
				stopping.end();
			}, timeoutMs);
		};
		watchSilence();
		let taken = 0;
		try {
			for await (const connection of connectionsOf(this.listener, stopping.stopped)) {
				if (this.serving.isLocal && !access.admits(connection)) {
					connection.close();
					continue;
				}
				taken++;
				// No other client must wait for a turn that never comes.
				if (taken >= most) this.listener.close();
				const served = this.serve(connection, stopping).finally(() => {
					this.running.delete(served);
					watchSilence();
				});
				this.running.add(served);
				if (taken >= most) break;
				while (this.running.size >= atOnce && !stopping.isStopped)
					await Promise.race([...this.running, stopping.stopped]);
			}
		} finally {
			clearTimeout(timer);
			this.listener.close();
		}
		await Promise.all(this.running);
		access.finish();
		stopping.finish();
		if (this.hasTimedOut) return timedOut;
		return most === 1 ? endedWith(this.lastStatus) : done;
	}

	private async serve(connection: LocalSocket, stopping: Shutdown): Promise<void> {
		const {command, isLocal, most} = this.serving;
		const peer = isLocal ? connection.peer : undefined;
		const {descriptor} = connection;
		// The command reads and writes the connection as any other stdin and stdout.
		native.fcntlSetfl(descriptor, native.fcntlGetfl(descriptor) & ~O_NONBLOCK);
		const running = await startCommand(
			command,
			{stdin: descriptor, stdout: descriptor},
			peer ? peerEnvironment(peer) : {},
		);
		connection.close();
		stopping.passOnTo(running);
		const {status, signal, problem} = await running.ended;
		this.lastStatus = status;
		if (problem) tellError(problem);
		else if (status !== 0 && most > 1)
			tellVerbose(
				`${quoted(command[0] as string)} ${describeEnd({status, signal})}${peer ? ` for ${describePeer(peer)}` : ''}`,
			);
	}
}
