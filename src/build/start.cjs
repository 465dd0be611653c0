// How a command starts: its bundle, with V8's code cache from build time if that still fits this Node.
'use strict';
const {closeSync, openSync, readFileSync, writeFileSync} = require('node:fs');
const {Script} = require('node:vm');

const O_PATH = 0o10000000; // open(2)

/** The bundle as a function of the arguments that Node gives a module; `cachedData` may be missing. */
const load = (filename, cachedData) => {
	// The bundle is ASCII: read as latin1, its text needs half the memory, and no decoder has to be loaded.
	const bundle = readFileSync(filename).latin1Slice();
	const text = `(function (exports, require, module, __filename, __dirname) {${bundle}\n})`;
	return new Script(text, {filename, cachedData});
};

/** By which ps(1), pgrep(1) and our own lists of users know a process: that of Node would be `node`. proc(5) */
const setProcessName = (name) => {
	try {
		writeFileSync('/proc/self/comm', name);
	} catch {
		// Without /proc it keeps that.
	}
};

const start = (name) => {
	setProcessName(name);
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

module.exports = {load, start};

/** Takes the place of a standard stream that was closed, and that Node has opened: to read or to write it is an error again. */
const close = (descriptor) => {
	closeSync(descriptor);
	openSync('/dev/null', O_PATH);
};

// `node start.js ipc-sem run …`: how the executable becomes Node. `ipc-sem:02`: stdin and stderr were closed.
if (require.main === module) {
	const [name, closed = ''] = process.argv.splice(2, 1)[0].split(':');
	for (const descriptor of closed) close(Number(descriptor));
	start(name);
}
