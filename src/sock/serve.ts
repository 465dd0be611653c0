import {availableParallelism} from 'node:os';
import {duration} from '../common/duration.js';
import {UsageError} from '../common/errors.js';
import {EndBySignal, status} from '../common/exit.js';
import * as common from '../common/options.js';
import {announceReady} from '../common/output.js';
import {size} from '../common/size.js';
import {StopInLoop} from '../common/stop-in-loop.js';
import {anyText, wholeNumber} from '../common/text-format.js';
import {any, one, verb} from '../common/verb.js';
import type {CallRunner} from './call-runner.js';
import {CallServer} from './call-server.js';
import {usualLimits} from './json-splitter.js';
import {LocalSocket} from './local-socket.js';
import {MethodFolders} from './methods.js';
import {CommandRunner, FolderRunner} from './program-runner.js';
import {localAddress} from './socket-address.js';
import {WorkerPool} from './worker-pool.js';

const usualIdleMs = 60_000;
const usualConnections = 4096;

const folder = anyText('DIR');

export const serve = verb({
	summary: 'answer calls (JSON-RPC 2.0): each method is an executable in a folder, or CMD is all of them',
	operands: {address: one(localAddress), more: any(folder)},
	options: {
		methods: {value: folder, many: true, help: 'a folder of methods; of several, the first that has one'},
		worker: {help: 'CMD stays: a call a line on stdin, an answer a line on stdout'},
		stdin: {help: 'parameters come on stdin only, not as arguments'},
		jobs: {value: wholeNumber(1, 1024), help: 'so many calls at a time (default: the processors)'},
		timeout: {...common.timeout, help: 'a call that takes longer is ended, and is an error'},
		idle: {value: duration, help: 'how long a client may take over a message (default 60s)'},
		max: {value: wholeNumber(1, 1_000_000), help: 'so many connections at a time (default 4096)'},
		maxSize: {value: size, help: 'the longest message, and output of a method (default 16M)'},
		mode: common.mode,
		readyFd: common.readyFd,
	},
	takesCommand: 'optional',
	examples: [
		{purpose: 'every executable in ./methods can be called', line: 'ipc-sock serve calc --methods ./methods'},
		{purpose: 'from elsewhere, if ./methods/add is one', line: 'ipc-sock call calc add 2 40'},
		{purpose: 'four processes that stay', line: 'ipc-sock serve calc --worker --jobs 4 -- ./worker.py'},
	],
	async run({address, more}, options, command) {
		const folders = [...options.methods, ...more];
		if (folders.length > 0 && command.length > 0) throw new UsageError('--methods and CMD exclude each other');
		if (folders.length === 0 && command.length === 0)
			throw new UsageError('the methods are missing: --methods DIR, or -- CMD');
		if (options.worker && command.length === 0) throw new UsageError('--worker needs a command: -- CMD');
		if (options.worker && options.stdin) throw new UsageError('--stdin makes no sense with --worker');
		const mostBytes = options.maxSize ?? usualLimits.mostBytes;

		const program = {mostOutput: mostBytes, withoutArguments: options.stdin};
		let runner: CallRunner;
		if (folders.length > 0) runner = new FolderRunner(new MethodFolders(folders), program);
		else if (options.worker) runner = new WorkerPool(command, mostBytes);
		else runner = new CommandRunner(command, {...program, notFoundStatus: status.notFound});

		using listener = LocalSocket.listen(address, {mode: options.mode});
		const server = new CallServer(listener, runner, {
			jobs: options.jobs ?? availableParallelism(),
			timeoutMs: options.timeout ?? -1,
			idleMs: options.idle ?? usualIdleMs,
			mostConnections: options.max ?? usualConnections,
			limits: {...usualLimits, mostBytes},
			refuses: () => undefined,
		});
		// Calls have process groups of their own, so Ctrl-C at a terminal does not reach them but through us.
		using stop = new StopInLoop(() => server.stop(), 'always');
		announceReady(options.readyFd);
		await server.run();
		throw new EndBySignal(stop.signal as number);
	},
});
