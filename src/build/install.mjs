// On installation of the published package: takes the executable and the addon that were made for this system in advance, or
// compiles the addon, and makes the code cache for the installed Node. In a clone nothing is built yet; `prepare` does all of it.
// It never fails: npm would take the package away, but leave the links to its commands and manual pages. Without it, or where it can
// do nothing, the commands run on Node, or say in one line what is missing.
import {spawnSync} from 'node:child_process';
import {copyFileSync, existsSync, readFileSync, renameSync, rmSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {compileNative} from './compile-native.mjs';
import {linkCommands} from './link-commands.mjs';
import {localTarget} from './targets.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const dist = join(root, 'dist');
const prebuilt = join(root, 'prebuilds', localTarget());
const commands = Object.keys(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).bin).filter((name) =>
	existsSync(join(dist, `${name}.js`)),
);
// A clone holds the sources of the executable, and builds its own.
if (commands.length > 0 && !existsSync(join(root, 'src', 'engine'))) {
	const hasExecutable = takePrebuilt('ipc', runs);
	const why = takePrebuilt('native.node', loads) ? undefined : compileNative({root});
	if (why) console.error(`ipc-tools: ${why}`);
	if (hasExecutable) linkCommands(root, {toExecutable: true});
	for (const words of why ? [] : [...commands.map((command) => ['code-cache.cjs', command]), ['client-cache.cjs']]) {
		const [script, ...more] = words;
		spawnSync(process.execPath, [`src/build/${script}`, ...more], {cwd: root, stdio: 'inherit'});
	}
}

/** Whether it is in dist/ now: copied there, since the executable looks for Node's part beside itself. */
function takePrebuilt(name, works) {
	const copy = join(dist, `${name}.new`);
	if (!existsSync(join(prebuilt, name))) return false;
	copyFileSync(join(prebuilt, name), copy);
	const isGood = works(copy);
	if (isGood) renameSync(copy, join(dist, name));
	else rmSync(copy);
	return isGood;
}

/** It may be for another processor, or the file system may not allow programs: then the commands run on Node. */
function runs(path) {
	const {status} = spawnSync(path, ['--version'], {argv0: 'ipc-sem', stdio: 'ignore'});
	return status === 0;
}

function loads(path) {
	try {
		process.dlopen({exports: {}}, path);
		return true;
	} catch {
		return false;
	}
}
