// Runs a command for a moment and keeps what V8 compiled meanwhile: dist/ipc-X.cache, which start.cjs uses.
// Where Node differs from the one that made it, V8 refuses it and compiles as usual.
'use strict';
const {mkdtempSync, rmSync, writeFileSync} = require('node:fs');
const {createRequire} = require('node:module');
const {tmpdir} = require('node:os');
const {join} = require('node:path');
const {load} = require('../../dist/start.js');

const name = process.argv[2];
const dist = join(__dirname, '..', '..', 'dist');
const filename = join(dist, `${name}.js`);

const queue = `ipc-tools-build-${process.pid}`;

// The command lines whose start matters. Each ends by itself, without anybody else and without an error.
const lines = {
	'ipc-pipe': [
		['recv', '-n'],
		['send', '-n'],
		['recv', 'x', '-n', '--count', '1'],
		['wait', 'x', '--reader', '-n'],
	],
	'ipc-sock': [['listen', 'x', '-t', '0']],
	'ipc-mq': [
		['send', queue, '--create', 'x'],
		['recv', queue, '-n'],
		['wait', queue, '-n'],
		['remove', queue],
	],
};

// What a command does last is to leave the process; here it must not.
const dlopen = process.dlopen;
process.dlopen = (module, path) => {
	dlopen.call(process, module, path);
	module.exports.exit = () => {};
};

const folder = mkdtempSync(join(tmpdir(), 'ipc-tools-build-'));
process.env.IPC_RUNTIME_DIR = folder;
const script = load(filename);
// What these lines print is of no interest.
require('node:fs').closeSync(1);
require('node:fs').openSync('/dev/null', 'w');
const run = script.runInThisContext();
for (const words of lines[name] ?? [[]]) {
	process.argv = [process.argv[0], name, ...words];
	const module = {exports: {}};
	run(module.exports, createRequire(filename), module, filename, dist);
}
setImmediate(() => {
	writeFileSync(join(dist, `${name}.cache`), script.createCachedData());
	rmSync(folder, {recursive: true, force: true});
	process.exit(0);
});
