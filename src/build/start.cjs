// How a command starts: its bundle, with V8's code cache from build time if that still fits this Node.
'use strict';
const {readFileSync, writeFileSync} = require('node:fs');
const {Script} = require('node:vm');

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

// `node start.js ipc-sem run …`: how the executable becomes Node.
if (require.main === module) {
	const [name] = process.argv.splice(2, 1);
	start(name);
}
