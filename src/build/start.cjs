// How a command starts, and the thread of a command that has a bundle of its own.
'use strict';
const {closeSync, openSync, readFileSync, writeFileSync, writeSync} = require('node:fs');
const {Script} = require('node:vm');

const O_PATH = 0o10000000; // open(2)
const oldestNode = 20;

/** A bundle as a function of the arguments that Node gives a module; `cachedData` may be missing. */
const load = (filename, cachedData) => {
	// The bundle is ASCII: read as latin1, its text needs half the memory, and no decoder has to be loaded.
	const bundle = readFileSync(filename).latin1Slice();
	const text = `(function (exports, require, module, __filename, __dirname) {${bundle}\n})`;
	return new Script(text, {filename, cachedData});
};

/** Runs a bundle beside this file, with V8's code cache from build time if that still fits this Node. */
const run = (name) => {
	const filename = `${__dirname}/${name}.js`;
	let cachedData;
	try {
		cachedData = readFileSync(`${__dirname}/${name}.cache`);
	} catch {
		// Never made, or not packed: slower, not wrong.
	}
	const module = {exports: {}};
	load(filename, cachedData).runInThisContext()(module.exports, require, module, filename, __dirname);
};

/** By which ps(1), pgrep(1) and our own lists of users know a process: that of Node would be `node`. proc(5) */
const setProcessName = (name) => {
	try {
		writeFileSync('/proc/self/comm', name);
	} catch {
		// Without /proc it keeps that.
	}
};

/** One line, where Node would print the line of the bundle that failed: the whole of it. */
const refuse = (name, why) => {
	writeSync(2, `${name}: ${why}\n`);
	process.exit(1);
};

/** `ipc-tools sem value jobs` is `ipc-sem value jobs`: npx(1) knows only the command with the name of the package. */
const startNamed = () => {
	const [word = ''] = process.argv.splice(2, 1);
	const name = word.replace(/^(?!ipc-)/, 'ipc-');
	if (/^ipc-(mq|pipe|sem|shm|signal|sock)$/.test(name)) return start(name);
	const isAsked = /^(-h|--help|help|-V|--version)$/.test(word);
	writeSync(isAsked ? 1 : 2, readFileSync(`${__dirname}/help/80/ipc-tools`));
	return process.exit(isAsked ? 0 : 2);
};

const start = (name) => {
	if (name === 'ipc-tools') return startNamed();
	const {node} = process.versions;
	if (Number.parseInt(node, 10) < oldestNode)
		refuse(name, `needs Node ${oldestNode} or later, and this is Node ${node}`);
	setProcessName(name);
	try {
		run(name);
	} catch (error) {
		// What fails so early is the native part, or a file that is missing.
		refuse(name, error.code === 'IPC_NO_ADDON' ? error.message : error.stack);
	}
};

module.exports = {load, start};

/** Takes the place of a standard stream that was closed, and that Node has opened: to read or to write it is an error again. */
const close = (descriptor) => {
	closeSync(descriptor);
	openSync('/dev/null', O_PATH);
};

// `node start.js ipc-sem run …`: how the executable becomes Node. `ipc-sem:02`: stdin and stderr were closed. A thread is started with the
// name of its bundle.
if (require.main === module) {
	const [name, closed = ''] = process.argv.splice(2, 1)[0].split(':');
	for (const descriptor of closed) close(Number(descriptor));
	if (name.startsWith('ipc-')) start(name);
	else run(name);
}
