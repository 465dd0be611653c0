// Runs a command for a moment and keeps what V8 compiled meanwhile: dist/ipc-X.cache, which start.cjs uses.
// If Node differs from the one that made the cache, V8 refuses the cache and compiles as usual.
'use strict';
const {spawn} = require('node:child_process');
const {closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync} = require('node:fs');
const {createRequire} = require('node:module');
const {tmpdir} = require('node:os');
const {join} = require('node:path');
const {load} = require('../../dist/start.js');

const name = process.argv[2];
const dist = join(__dirname, '..', '..', 'dist');
const filename = join(dist, `${name}.js`);

const segment = `ipc-tools-build-shm-${process.pid}`;
const queue = `ipc-tools-build-${process.pid}`;
const semaphore = queue;

// The command lines whose start matters. Each ends by itself, without another process and without an error.
const lines = {
	'ipc-pipe': [
		['recv', '-n'],
		['send', '-n'],
		['recv', 'x', '-n', '--count', '1'],
		['wait', 'x', '--reader', '-n'],
	],
	'ipc-sock': [
		['listen', 'x', '-t', '0'],
		['call', 'server', 'x', '1', 'a'],
	],
	'ipc-mq': [
		['send', queue, '--create', 'x'],
		['recv', queue, '-n'],
		['wait', queue, '-n'],
		['remove', queue],
	],
	'ipc-sem': [
		['create', semaphore],
		['wait', semaphore, '-n'],
		['post', semaphore],
		['value', semaphore],
		['remove', semaphore],
	],
	'ipc-shm': [
		['create', segment, '--size', '64K'],
		['add', segment, '1'],
		['get', segment],
		['set', segment, '0'],
		['send', segment, 'x'],
		['recv', segment, '-n'],
		['remove', segment],
	],
	'ipc-signal': [
		['send', '0', String(process.pid)],
		['send', 'CONT', String(process.pid), '--value', '1'],
		['wait', 'RTMAX', '-n'],
		['list', '15'],
	],
};

// The last act of a command is to exit the process; here it must not.
const dlopen = process.dlopen;
process.dlopen = (module, path) => {
	dlopen.call(process, module, path);
	module.exports.exit = () => {};
};

const folder = mkdtempSync(join(tmpdir(), 'ipc-tools-build-'));
process.env.IPC_RUNTIME_DIR = folder;
// `call` needs a process that answers, and blocks this process meanwhile.
let server;
if (name === 'ipc-sock') {
	const path = join(folder, 'server');
	const answer = JSON.stringify('{"jsonrpc":"2.0","result":[1,"a"],"id":1}\n');
	const serve = `require("net").createServer((c) => c.on("data", () => c.end(${answer}))).listen(${JSON.stringify(path)})`;
	server = spawn(process.execPath, ['-e', serve], {stdio: ['ignore', 'ignore', 'inherit']});
	for (let tries = 0; !existsSync(path) && tries < 2000; tries++)
		Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
}
const script = load(filename);
// What these lines print does not matter. One that fails, where all room for queues is taken say, is compiled less far.
for (const descriptor of [1, 2]) {
	closeSync(descriptor);
	openSync('/dev/null', 'w');
}
const run = script.runInThisContext();
for (const words of lines[name] ?? [[]]) {
	process.argv = [process.argv[0], name, ...words];
	const module = {exports: {}};
	run(module.exports, createRequire(filename), module, filename, dist);
}
setImmediate(() => {
	writeFileSync(join(dist, `${name}.cache`), script.createCachedData());
	server?.kill();
	rmSync(folder, {recursive: true, force: true});
	process.exit(0);
});
