// Makes the executable and the addon for each system that there is a compiler for, and says in one line what each of them is:
// `prebuild.mjs [--output FOLDER] [TARGET…]`. They are packed; install.mjs takes the one that fits.
import {mkdirSync, renameSync, rmSync, statSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import {loadCommands} from './commands.mjs';
import {compileNative} from './compile-native.mjs';
import {inspect} from './elf.mjs';
import {buildEngine} from './engine.mjs';
import {findCompiler} from './foreign-musl.mjs';
import {targets} from './targets.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const {values, positionals} = parseArgs({options: {output: {type: 'string'}}, allowPositionals: true});
const output = values.output ?? join(root, 'prebuilds');
const wanted = targets.filter(({name}) => positionals.length === 0 || positionals.includes(name));
const mostBytes = 4 * 2 ** 20;

const {commands} = await loadCommands(root);
let hasFailed = wanted.length === 0;
for (const target of wanted) console.log(`${target.name}: ${await make(target)}`);
process.exitCode = hasFailed ? 1 : 0;

/** What came of it, in a few words. */
async function make(target) {
	const compiler = findCompiler(target);
	const folder = join(output, target.name);
	rmSync(folder, {recursive: true, force: true});
	if (!compiler) return `skipped: none of its compilers is installed: ${target.compilers.join(', ')}`;
	// Beside it are the files made on the way: only the executable itself is kept.
	const work = `${folder}.new`;
	mkdirSync(work, {recursive: true});
	const {why} = await buildEngine({root, commands, arch: target.arch, compiler, executable: join(work, 'ipc')});
	if (why) return failed(why);
	mkdirSync(folder);
	renameSync(join(work, 'ipc'), join(folder, 'ipc'));
	rmSync(work, {recursive: true});
	const addon = compileNative({root, compiler, output: join(folder, 'native.node')});
	if (addon) return failed(addon);
	return described(join(folder, 'ipc'));
}

function described(executable) {
	const {size} = statSync(executable);
	const {isDynamic, isPie, hasRelro, hasExecutableStack} = inspect(executable);
	const facts = [
		[size <= mostBytes, `${(size / 2 ** 20).toFixed(2)} MiB`, `${size} bytes, more than ${mostBytes}`],
		[!isDynamic, 'static', 'needs libraries of the system'],
		[isPie, 'PIE', 'no PIE'],
		[hasRelro, 'full RELRO', 'no full RELRO'],
		[!hasExecutableStack, 'no executable stack', 'executable stack'],
	];
	const text = facts.map(([isGood, good, bad]) => (isGood ? good : bad)).join(', ');
	return facts.every(([isGood]) => isGood) ? text : failed(text);
}

function failed(why) {
	hasFailed = true;
	return `failed: ${why}`;
}
