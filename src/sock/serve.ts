import {availableParallelism} from 'node:os';
import {configureCluster} from '../common/cluster.js';
import {quoted, UsageError} from '../common/errors.js';
import {done, status} from '../common/exit.js';
import {duration} from '../common/formats/duration.js';
import {formatSize} from '../common/formats/size.js';
import {filePath, wholeNumber} from '../common/formats/text-format.js';
import * as common from '../common/options.js';
import {announceReady} from '../common/output.js';
import {checkCommand} from '../common/process/run-command.js';
import {any, one, verb} from '../common/verb.js';
import {callAddress, clusterCalls} from '../objects/socket/call-places.js';
import {formatSocketAddress, isLocal} from '../objects/socket/socket-address.js';
import {AccessList, allow, modeWithAccess, warnOfOpenPort} from './access.js';
import {checkCredentials, credentials, insecure, messageSize, totalSize} from './options.js';
import type {CallRunner} from './rpc/call-runner.js';
import {CallServer, mostTurnedAway} from './rpc/call-server.js';
import {usualLimits} from './rpc/json-splitter.js';
import {MessageServer} from './rpc/message-server.js';
import {MethodFolders} from './rpc/methods.js';
import {CommandRunner, FolderRunner} from './rpc/program-runner.js';
import {WorkerPool} from './rpc/worker-pool.js';
import {openAnyListener} from './stream/secure-endpoint.js';

const usualIdleMs = 60_000;
const usualConnections = 4096;
const usualHeld = 256 * 1024 ** 2;

const folder = filePath('DIR');

export const serve = verb({
	summary: 'Answer calls by running the executables in a folder, or a command',
	operands: {address: one(callAddress), more: any(folder)},
	options: {
		methods: {value: folder, many: true, help: 'folder of methods; the first match is run'},
		worker: {help: 'keep CMD running; it answers a line per call'},
		stdin: {help: 'pass parameters on stdin only'},
		jobs: {...common.jobs, help: 'parallel calls (default: number of CPUs)'},
		timeout: {...common.timeout, help: 'end a call after DURATION and report an error'},
		messageTimeout: {
			only: 'local',
			also: ['--idle'],
			value: duration,
			help: 'time to receive a message (default 60s)',
		},
		max: {only: 'local', value: wholeNumber(1, 1_000_000), help: 'maximum number of connections (default 4096)'},
		maxSize: {value: messageSize, help: 'maximum message or output size (default 16M)'},
		maxTotal: {value: totalSize, help: 'data held for all clients (default 256M)'},
		allow,
		mode: common.mode,
		insecure,
		...credentials,
		readyFd: common.readyFd,
	},
	cluster: true,
	takesCommand: 'optional',
	examples: [
		{purpose: 'offer every executable in ./methods as a method', line: 'ipc-sock serve calc --methods ./methods'},
		{purpose: 'call ./methods/add from another process', line: 'ipc-sock call calc add 2 40'},
		{purpose: 'keep four worker processes running', line: 'ipc-sock serve calc --worker --jobs 4 -- ./worker.py'},
	],
	needsNode: true,
	waitsFor: ({address}) =>
		`clients on ${quoted(address.kind === 'cluster' ? address.shown : formatSocketAddress(address))}`,
	async run({address, more}, options, command) {
		const folders = [...options.methods, ...more];
		if (folders.length > 0 && command.length > 0) throw new UsageError('--methods and CMD cannot be combined');
		if (folders.length === 0 && command.length === 0)
			throw new UsageError('the methods are missing: --methods DIR, or -- CMD');
		if (options.worker && command.length === 0) throw new UsageError('--worker needs a command: -- CMD');
		if (options.worker && options.stdin) throw new UsageError('--stdin and --worker cannot be combined');
		if (address.kind !== 'cluster') {
			if (!isLocal(address) && options.allow.length > 0)
				throw new UsageError('--allow needs a local socket: the kernel does not identify clients of a network');
			checkCredentials(options, address);
		}
		const mostBytes = options.maxSize ?? usualLimits.mostBytes;

		const mostHeld = options.maxTotal ?? Math.max(usualHeld, 2 * mostBytes);
		if (mostHeld < mostBytes)
			throw new UsageError(`--max-total is less than the longest message (--max-size, ${formatSize(mostBytes)})`);

		if (command.length > 0) checkCommand(command);
		const program = {mostOutput: mostBytes, withoutArguments: options.stdin};
		let runner: CallRunner;
		if (folders.length > 0) runner = new FolderRunner(new MethodFolders(folders), program);
		else if (options.worker) runner = new WorkerPool(command, mostBytes);
		else runner = new CommandRunner(command, {...program, isForAll: true, notFoundStatus: status.notFound});

		const jobs = options.jobs ?? availableParallelism();
		const timeoutMs = options.timeout ?? -1;
		if (address.kind === 'cluster') {
			// --timeout is that of a call, not of the connection.
			configureCluster({...options, timeout: undefined});
			const listener = await clusterCalls.objects.listen(address);
			announceReady(options.readyFd);
			await new MessageServer(listener, runner, {jobs, timeoutMs, mostBytes, mostHeld}).run();
			return done;
		}
		const access = new AccessList(options.allow);
		const {insecure, cert, key, ca, max: mostConnections = usualConnections} = options;
		const listener = await openAnyListener(address, {
			...{insecure, cert, key, ca},
			...modeWithAccess(options.mode, options.allow),
			// Those that are turned away learn why.
			most: mostConnections + mostTurnedAway,
			reportsFailures: true,
		});
		const server = new CallServer(listener, runner, {
			jobs,
			timeoutMs,
			idleMs: options.messageTimeout ?? usualIdleMs,
			mostConnections,
			limits: {...usualLimits, mostBytes},
			mostHeld,
			access,
			isLocal: isLocal(address),
		});
		warnOfOpenPort(address, options.insecure, 'call these methods');
		announceReady(options.readyFd);
		await server.run();
		listener.finishAll?.();
		return done;
	},
});
