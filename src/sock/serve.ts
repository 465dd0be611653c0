import {availableParallelism} from 'node:os';
import {UsageError} from '../common/errors.js';
import {done, status} from '../common/exit.js';
import {duration} from '../common/formats/duration.js';
import {formatSize} from '../common/formats/size.js';
import {anyText, wholeNumber} from '../common/formats/text-format.js';
import * as common from '../common/options.js';
import {announceReady} from '../common/output.js';
import {any, one, verb} from '../common/verb.js';
import {openListener} from '../objects/socket/endpoint.js';
import {insecure, isLocal, socketAddress} from '../objects/socket/socket-address.js';
import {AccessList, allow, modeWithAccess, warnOfOpenPort} from './access.js';
import {messageSize, totalSize} from './options.js';
import type {CallRunner} from './rpc/call-runner.js';
import {CallServer} from './rpc/call-server.js';
import {usualLimits} from './rpc/json-splitter.js';
import {MethodFolders} from './rpc/methods.js';
import {CommandRunner, FolderRunner} from './rpc/program-runner.js';
import {WorkerPool} from './rpc/worker-pool.js';

const usualIdleMs = 60_000;
const usualConnections = 4096;
const usualHeld = 256 * 1024 ** 2;

const folder = anyText('DIR');

export const serve = verb({
	summary: 'answer calls with executables in a folder',
	operands: {address: one(socketAddress), more: any(folder)},
	options: {
		methods: {value: folder, many: true, help: 'a folder of methods; of several, the first that has one'},
		worker: {help: 'CMD stays: a call a line on stdin, an answer a line on stdout'},
		stdin: {help: 'parameters come on stdin only, not as arguments'},
		jobs: {value: wholeNumber(1, 1024), help: 'so many calls at a time (default: the processors)'},
		timeout: {...common.timeout, help: 'a call that takes longer is ended, and is an error'},
		idle: {value: duration, help: 'how long a client may take over a message (default 60s)'},
		max: {value: wholeNumber(1, 1_000_000), help: 'so many connections at a time (default 4096)'},
		maxSize: {value: messageSize, help: 'the longest message, and output of a method (default 16M)'},
		maxTotal: {value: totalSize, help: 'messages and answers held for all clients (default 256M)'},
		allow,
		mode: common.mode,
		insecure,
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
		if (!isLocal(address) && options.allow.length > 0)
			throw new UsageError('--allow is for local sockets: over a network the kernel cannot tell who comes');
		const mostBytes = options.maxSize ?? usualLimits.mostBytes;

		const mostHeld = options.maxTotal ?? Math.max(usualHeld, 2 * mostBytes);
		if (mostHeld < mostBytes)
			throw new UsageError(`--max-total is less than the longest message (--max-size, ${formatSize(mostBytes)})`);

		const program = {mostOutput: mostBytes, withoutArguments: options.stdin};
		let runner: CallRunner;
		if (folders.length > 0) runner = new FolderRunner(new MethodFolders(folders), program);
		else if (options.worker) runner = new WorkerPool(command, mostBytes);
		else runner = new CommandRunner(command, {...program, isForAll: true, notFoundStatus: status.notFound});

		const access = new AccessList(options.allow);
		const listener = await openListener(address, {
			insecure: options.insecure,
			...modeWithAccess(options.mode, options.allow),
		});
		const server = new CallServer(listener, runner, {
			jobs: options.jobs ?? availableParallelism(),
			timeoutMs: options.timeout ?? -1,
			idleMs: options.idle ?? usualIdleMs,
			mostConnections: options.max ?? usualConnections,
			limits: {...usualLimits, mostBytes},
			mostHeld,
			access,
			isLocal: isLocal(address),
		});
		warnOfOpenPort(address, options.insecure, 'call these methods');
		announceReady(options.readyFd);
		await server.run();
		return done;
	},
});
