import type {RefusalData} from '../../protocol.js';
import {type Connection, sleep} from '../connection.js';
import {refuse} from '../errors.js';
import {CallClient} from './call-client.js';

/** Calls are requests with a reply subject: see ipc-cluster(7). A command has one conversation. */
export function callMethods(connection: Connection) {
	let caller: CallClient | undefined;
	const found = <Kind>(value: Kind | undefined): Kind => {
		if (value === undefined) throw new Error('there is no conversation');
		return value;
	};

	return {
		/** `descriptor` is the end of a socket that the requests come from, and the answers go to. */
		async callsConnect(name: string, descriptor: number, asksForSigns: boolean): Promise<void> {
			caller = new CallClient(connection, await connection.client(), name, descriptor, asksForSigns);
		},

		/** Why no more answers come. */
		async callsProblem(): Promise<RefusalData | undefined> {
			return caller?.problem;
		},

		/** Whether the server has got all requests in time. */
		async callsConfirm(timeoutMs: number): Promise<boolean> {
			const confirmed = found(caller)
				.confirm()
				.then(() => true);
			const isInTime = await (timeoutMs < 0
				? confirmed
				: Promise.race([confirmed, sleep(timeoutMs, connection.closing.signal).then(() => false)]));
			const {problem} = found(caller);
			return problem ? refuse(problem.reason, problem.text) : isInTime;
		},
	};
}

export type CallMethods = ReturnType<typeof callMethods>;
