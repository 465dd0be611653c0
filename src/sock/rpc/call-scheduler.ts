import {quoted} from '../../common/errors.js';
import {formatDuration} from '../../common/formats/duration.js';
import {version} from '../../common/version.js';
import {type Call, type CallRunner, defect, methodTimedOut, type RunningCall} from './call-runner.js';
import {type CallError, type CallResult, internalError, methodNotFound} from './json-rpc.js';

export interface SchedulerSettings {
	/** Maximum number of parallel calls, of all clients together. */
	jobs: number;
	/** How long a call may take; negative: without limit. */
	timeoutMs: number;
	/** The name of the server. */
	title: string;
}

interface Task<Client> {
	client: Client;
	call: Call;
	wantsAnswer: boolean;
	onOutcome(outcome: CallResult): void;
}

/** Runs the calls of any number of clients; the clients take turns when there are more calls than may run at once. */
export class CallScheduler<Client> {
	private readonly waiting = new Map<Client, Task<Client>[]>();
	private readonly running = new Map<RunningCall, Task<Client>>();
	private isStopping = false;

	constructor(
		private readonly runner: CallRunner,
		private readonly settings: SchedulerSettings,
	) {}

	/** `onOutcome` is called once. Without `wantsAnswer` the call is executed even when its client has left. */
	submit(client: Client, call: Call, wantsAnswer: boolean, onOutcome: (outcome: CallResult) => void): void {
		if (call.method === 'rpc.discover') {
			onOutcome(attempted(call, () => this.discover()));
			return;
		}
		const task = {client, call, wantsAnswer, onOutcome};
		const tasks = this.waiting.get(client);
		if (tasks) tasks.push(task);
		else this.waiting.set(client, [task]);
		this.startNext();
	}

	/** The client waits for no answer any more. */
	abandon(client: Client): void {
		const tasks = this.waiting.get(client) ?? [];
		this.waiting.delete(client);
		const kept = tasks.filter(({wantsAnswer}) => !wantsAnswer);
		if (kept.length > 0) this.waiting.set(client, kept);
		for (const {wantsAnswer, onOutcome} of tasks) if (wantsAnswer) onOutcome({error: internalError});
		for (const [running, task] of this.running) if (task.client === client && task.wantsAnswer) running.abandon();
	}

	/** Runs none of the calls that still wait, notifications either. */
	drop(client: Client, error: CallError): void {
		const tasks = this.waiting.get(client) ?? [];
		this.waiting.delete(client);
		for (const {onOutcome} of tasks) onOutcome({error});
	}

	/** Starts no call any more, and ends all that run. Returns once no process of them runs. */
	async stop(error: CallError, meanwhile: () => void): Promise<void> {
		this.isStopping = true;
		const running = [...this.running.keys()];
		for (const each of running) each.stop(error);
		meanwhile();
		await Promise.all(running.map(({ended}) => ended));
		await this.runner.close();
	}

	/** The client that has waited longest is first, and goes to the end of the list then. */
	private startNext(): void {
		while (this.running.size < this.settings.jobs && !this.isStopping) {
			const [client, tasks] = this.waiting.entries().next().value ?? [];
			const task = tasks?.shift();
			if (client === undefined || !tasks || !task) return;
			this.waiting.delete(client);
			if (tasks.length > 0) this.waiting.set(client, tasks);
			this.start(task);
		}
	}

	private start(task: Task<Client>): void {
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
		return {result: JSON.stringify({openrpc: '1.3.2', info: {title: this.settings.title, version}, methods})};
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
