// The engine: quickjs-ng, from QUICKJS_SRC, from Debian's package qjs-src where it is installed, or fetched with apt into a
// folder of its own. Checked against the hash of the version that was tested, compiled once, and kept outside the clone.
import {spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	writeFileSync,
} from 'node:fs';
import {homedir, tmpdir} from 'node:os';
import {join} from 'node:path';

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

const cacheFolder = () => join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'ipc-tools');

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
	const why = fetch(join(cacheFolder(), `quickjs-ng-${engineVersion}`));
	if (why) return {why};
	return hashOf(fetched) === expectedHash
		? {folder: fetched}
		: {why: `the package qjs-src is not version ${engineVersion}`};
}

/** Debian's sid through the machine's own mirror, without root and without touching the machine's lists. */
function fetch(target) {
	const mirror = debianMirror();
	if (!mirror) return `there is neither the package qjs-src nor a Debian mirror to fetch it from; set QUICKJS_SRC`;
	const work = mkdtempSync(join(tmpdir(), 'ipc-tools-engine-'));
	try {
		for (const folder of ['lists/partial', 'cache/archives/partial', 'package'])
			mkdirSync(join(work, folder), {recursive: true});
		writeFileSync(join(work, 'sources.list'), `deb ${mirror.options} ${mirror.uri} sid main\n`);
		const options = Object.entries({
			'Dir::Etc::sourcelist': join(work, 'sources.list'),
			'Dir::Etc::sourceparts': '/dev/null',
			'Dir::State::lists': join(work, 'lists'),
			'Dir::Cache': join(work, 'cache'),
			'Acquire::Languages': 'none',
			'Debug::NoLocking': '1',
			'APT::Sandbox::User': 'root',
		}).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
		const apt = (...words) =>
			spawnSync('apt-get', ['-qq', ...options, ...words], {cwd: work, encoding: 'utf8', timeout: 300_000});
		if (apt('update').status !== 0 || apt('download', 'qjs-src').status !== 0)
			return 'the package qjs-src could not be fetched; set QUICKJS_SRC';
		const archive = readdirSync(work).find((name) => name.endsWith('.deb'));
		const unpacked = spawnSync('dpkg-deb', ['-x', archive, 'package'], {cwd: work});
		if (unpacked.status !== 0) return 'the package qjs-src could not be unpacked';
		mkdirSync(cacheFolder(), {recursive: true});
		rmSync(target, {recursive: true, force: true});
		spawnSync('cp', ['-r', join(work, 'package'), target]);
		return undefined;
	} finally {
		rmSync(work, {recursive: true, force: true});
	}
}

/** Where this machine gets Debian's packages from, as its own configuration says. */
function debianMirror() {
	const folder = '/etc/apt/sources.list.d';
	const texts = [
		...(existsSync('/etc/apt/sources.list') ? [readFileSync('/etc/apt/sources.list', 'utf8')] : []),
		...(existsSync(folder)
			? readdirSync(folder)
					.filter((name) => /\.(list|sources)$/.test(name))
					.map((name) => readFileSync(join(folder, name), 'utf8'))
			: []),
	];
	for (const text of texts) {
		const uri =
			/^URIs:\s*(\S+\/debian\/?)\s*$/m.exec(text)?.[1] ??
			/^deb\s+(?:\[[^\]]*\]\s+)?(\S+\/debian\/?)\s/m.exec(text)?.[1];
		const key = /^Signed-By:\s*(\/\S+)/m.exec(text)?.[1];
		if (uri) return {uri, options: key ? `[signed-by=${key}]` : ''};
	}
	return undefined;
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
