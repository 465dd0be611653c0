// The engine: quickjs-ng, from QUICKJS_SRC, from Debian's package qjs-src where it is installed, or fetched with apt into a
// folder of its own. Checked against the hash of the version that was tested, compiled once, and kept outside the clone.
import {spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {existsSync, mkdirSync, readdirSync, readFileSync, renameSync} from 'node:fs';
import {join} from 'node:path';
import {cacheFolder, fetchPackages} from './debian-package.mjs';

export const engineVersion = '0.17.0';
/** Of the sources in `files`, one after the other. */
const expectedHash = '2b62c791e404bbb744420de24468939a41ee5ee0c3128f613cb7a6bc3445978e';
const files = ['quickjs.c', 'libregexp.c', 'libunicode.c', 'dtoa.c'];
const flags = [
	'-O2',
	'-D_GNU_SOURCE',
	'-DQUICKJS_NG_BUILD',
	// Without the engine's own traces, which take a fifteenth of a start even where none is printed.
	'-DNDEBUG',
	'-fPIE',
	'-fvisibility=hidden',
	'-ffunction-sections',
	'-fdata-sections',
	'-fstack-protector-strong',
];

const hashOf = (folder) => {
	const hash = createHash('sha256');
	for (const name of readdirSync(folder)
		.filter((file) => /\.[ch]$/.test(file))
		.sort())
		hash
			.update(name)
			.update('\0')
			.update(readFileSync(join(folder, name)));
	return hash.digest('hex');
};

/** The folder with the engine's sources, or why there is none. */
export function findSources() {
	const given = process.env.QUICKJS_SRC;
	const fetched = join(cacheFolder(), `quickjs-ng-${engineVersion}`, 'usr', 'src', 'quickjs-ng');
	for (const folder of given ? [given] : ['/usr/src/quickjs-ng', fetched])
		if (existsSync(join(folder, 'quickjs.c'))) {
			if (hashOf(folder) === expectedHash) return {folder};
			if (given) return {why: `QUICKJS_SRC does not hold quickjs-ng ${engineVersion}`};
		}
	if (given) return {why: `QUICKJS_SRC has no quickjs.c`};
	const folder = join(cacheFolder(), `quickjs-ng-${engineVersion}`);
	const why = fetchPackages({names: ['qjs-src'], suite: 'sid', folder});
	if (why) return {why: `${why}; set QUICKJS_SRC`};
	return hashOf(fetched) === expectedHash
		? {folder: fetched}
		: {why: `the package qjs-src is not version ${engineVersion}`};
}

/**
 * The engine's objects for the target, and the compiler of bytecode, which runs on this machine and so has objects of its own
 * where the target is another one. `{why}` where there is no engine.
 */
export function compileEngine({root, compiler, output}) {
	const {folder: headers, why} = findSources();
	if (!headers) return {why};
	const local = process.env.CC || 'cc';
	const objects = compileObjects(headers, compiler);
	const localObjects = compileObjects(headers, local);
	if (!objects || !localObjects) return {why: `'${objects ? local : compiler}' could not compile the engine`};
	const compile = join(output, 'compile');
	const tool = spawnSync(
		local,
		[
			...['-std=gnu11', '-O1', '-w', '-I', headers],
			join(root, 'src', 'engine', 'host', 'compile.c'),
			...localObjects,
			...['-lm', '-lpthread', '-o', compile],
		],
		{stdio: 'inherit'},
	);
	// It begins with its licence.
	const license = readFileSync(join(headers, 'quickjs.c'), 'utf8')
		.split('*/', 1)[0]
		.replace(/^[ /*]+/gm, '')
		.trim();
	return tool.status === 0
		? {objects, headers, compile, license}
		: {why: `'${local}' could not link the compiler of bytecode`};
}

/** The engine's objects, compiled once for each compiler and each version of it; undefined where that failed. */
function compileObjects(sources, compiler) {
	const version = spawnSync(compiler, ['-dumpmachine', '-dumpfullversion'], {encoding: 'utf8'});
	if (version.status !== 0) return undefined;
	const key = createHash('sha256')
		.update(`${expectedHash} ${compiler} ${version.stdout} ${flags.join(' ')}`)
		.digest('hex')
		.slice(0, 16);
	const folder = join(cacheFolder(), `engine-${engineVersion}-${key}`);
	mkdirSync(folder, {recursive: true});
	const objects = [];
	for (const name of files) {
		const object = join(folder, name.replace(/\.c$/, '.o'));
		objects.push(object);
		if (existsSync(object)) continue;
		const made = spawnSync(compiler, [...flags, '-w', '-c', join(sources, name), '-o', `${object}.${process.pid}`], {
			stdio: 'inherit',
		});
		if (made.status !== 0) return undefined;
		renameSync(`${object}.${process.pid}`, object);
	}
	return objects;
}
