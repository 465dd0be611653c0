import {formatSize} from '../../common/formats/size.js';
import {Shutdown} from '../../common/process/shutdown.js';
import type {CallListener, CallMessage} from '../../objects/socket/call-places.js';
import {LimitedNotices} from '../limited-notices.js';
import {executeMessage, heldBy} from './call-message.js';
import {type CallRunner, defect, serverRefuses} from './call-runner.js';
import {CallScheduler} from './call-scheduler.js';
import {type CallError, type CallResult, formatResponse, isRefused, type Refused, type Request} from './json-rpc.js';

export interface MessageSettings {
	/** Maximum number of parallel calls. */
	jobs: number;
	/** How long a call may take; negative: without limit. */
	timeoutMs: number;
	/** Maximum length of all answers to a batch. */
	mostBytes: number;
	/** What may be held in memory for all calls together, in bytes. */
	mostHeld: number;
}

const stopped: CallError = {code: serverRefuses, message: 'The server has been stopped'};
const overloaded: CallError = {code: serverRefuses, message: 'The server holds too many calls'};

/** Answers calls that come as messages from a cluster. */
export class MessageServer {
	private readonly scheduler: CallScheduler<CallListener>;
	private readonly notices = new LimitedNotices();
	private heldBytes = 0;

	constructor(
		private readonly listener: CallListener,
		runner: CallRunner,
		private readonly settings: MessageSettings,
	) {
		this.scheduler = new CallScheduler(runner, {...settings, title: listener.shownName});
	}

	/** Takes messages until a signal stops the server. Then the clients that wait are told. */
	async run(): Promise<void> {
		using stopping = new Shutdown();
		const {listener} = this;
		const rest = stopping.stopped.then(() => listener.stop());
		while (!stopping.isStopped) {
			const messages = await listener.receive();
			for (const message of messages)
				if (stopping.isStopped) this.refuse(message);
				else this.take(message);
		}
		for (const message of await rest) this.refuse(message);
		await this.scheduler.stop(stopped, () => this.scheduler.drop(listener, stopped));
		await listener.close();
		this.notices.finish();
		stopping.finish();
	}

	private take(message: CallMessage): void {
		this.execute(message, (call, respond) => this.perform(call, respond));
	}

	private refuse(message: CallMessage): void {
		this.execute(message, ({id}, respond) =>
			respond(id === undefined ? undefined : this.response(id, {error: stopped})),
		);
	}

	private execute(
		{bytes, receipt}: CallMessage,
		perform: (call: Request | Refused, respond: (response: string | undefined) => void) => void,
	): void {
		const answer = (text: string | undefined) => this.listener.answer(receipt, this.fitting(text, 'null'));
		try {
			executeMessage(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), {
				mostBytes: this.settings.mostBytes,
				perform,
				answer,
				hold: (more) => {
					this.heldBytes += more;
				},
			});
		} catch (error) {
			answer(formatResponse('null', {error: defect('?', error)}));
		}
	}

	private perform(call: Request | Refused, respond: (response: string | undefined) => void): void {
		if (isRefused(call)) {
			respond(formatResponse(call.id, call));
			return;
		}
		const {id, method, params} = call;
		const finish = (outcome: CallResult) => {
			// No other process would learn of it.
			if (id === undefined && 'error' in outcome) this.notices.tell(`a notification failed: ${outcome.error.message}`);
			respond(id === undefined ? undefined : this.response(id, outcome));
		};
		const bytes = heldBy(call);
		if (this.heldBytes + bytes > this.settings.mostHeld) {
			this.notices.tell(`refused a call: more than ${formatSize(this.settings.mostHeld)} would be held (--max-total)`);
			finish({error: overloaded});
			return;
		}
		this.heldBytes += bytes;
		this.scheduler.submit(this.listener, {method, params, caller: undefined}, id !== undefined, (outcome) => {
			this.heldBytes -= bytes;
			finish(outcome);
		});
	}

	private response(id: string, outcome: CallResult): string {
		return this.fitting(formatResponse(id, outcome), id) as string;
	}

	/** An answer, or an error in its place where the cluster does not take one of its length. */
	private fitting(text: string | undefined, id: string): string | undefined {
		const {mostBytes} = this.listener;
		const length = text === undefined ? 0 : Buffer.byteLength(text);
		if (length <= mostBytes) return text;
		const message = `The answer has ${length} bytes and the cluster takes ${mostBytes} (its max_payload)`;
		return formatResponse(id, {error: {code: serverRefuses, message}});
	}
}
