import type {Claimed, SignalAnswer, SignalRequest} from '../../signals/format.js';
import type {Connection} from '../connection.js';
import {refuse} from '../errors.js';
import {ask, reasonOf, SignalReceiver} from './signal-receiver.js';

/** A signal is a request to the process that has a name: see ipc-cluster(7). */
export function signalMethods(connection: Connection) {
	let receiver: SignalReceiver | undefined;

	const answerOf = async (
		name: string,
		request: SignalRequest | {find: true},
		timeoutMs: number,
		late: string,
	): Promise<SignalAnswer> => {
		try {
			const answer = await ask<SignalAnswer>(await connection.client(), name, request, timeoutMs);
			// It has not got the name yet, and may not get it.
			return answer.result === 'not-yet' ? refuse('none', 'no process has that name') : answer;
		} catch (error) {
			const reason = reasonOf(error);
			if (reason === 'none') return refuse('none', 'no process has that name');
			if (reason === 'timeout') return refuse('silent', late);
			throw error;
		}
	};

	return {
		/** `wanted`: names and numbers of the signals that the process waits for. */
		async signalClaim(name: string, self: Claimed, wanted: ReadonlyMap<string, number>): Promise<void> {
			receiver = new SignalReceiver(connection, await connection.client(), name, self, wanted);
			await receiver.claim();
		},

		/** What a mark of a received signal stands for. */
		async signalHost(mark: number): Promise<string | undefined> {
			return receiver?.hostOf(mark);
		},

		signalSend: (name: string, request: SignalRequest, timeoutMs: number): Promise<SignalAnswer> =>
			answerOf(name, request, timeoutMs, 'the process that has the name does not answer; the signal may still arrive'),

		signalFind: (name: string, timeoutMs: number): Promise<SignalAnswer> =>
			answerOf(name, {find: true}, timeoutMs, 'the process that has the name does not answer'),
	};
}

export type SignalMethods = ReturnType<typeof signalMethods>;
