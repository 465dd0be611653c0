// Fetches packages of Debian and unpacks them into a folder of its own: no root is needed, and the machine's own lists stay as they are.
import {spawnSync} from 'node:child_process';
import {existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {homedir, tmpdir} from 'node:os';
import {dirname, join} from 'node:path';

/** What is fetched or compiled once is kept here, outside the clone. */
export const cacheFolder = () => join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'ipc-tools');

/** Returns why that failed, and undefined once the packages are in `folder`. `architecture` is Debian's word: arm64. */
export function fetchPackages({names, suite, architecture, folder}) {
	const shown = names.join(', ');
	const mirror = debianMirror();
	if (!mirror) return `this machine names no Debian mirror to fetch ${shown} from`;
	const work = mkdtempSync(join(tmpdir(), 'ipc-tools-package-'));
	try {
		for (const part of ['lists/partial', 'cache/archives/partial', 'package'])
			mkdirSync(join(work, part), {recursive: true});
		const words = [mirror.signedBy && `signed-by=${mirror.signedBy}`, architecture && `arch=${architecture}`].filter(
			Boolean,
		);
		const options = words.length > 0 ? `[${words.join(' ')}]` : '';
		writeFileSync(join(work, 'sources.list'), `deb ${options} ${mirror.uri} ${suite} main\n`);
		const settings = Object.entries({
			'Dir::Etc::sourcelist': join(work, 'sources.list'),
			'Dir::Etc::sourceparts': '/dev/null',
			'Dir::State::lists': join(work, 'lists'),
			'Dir::Cache': join(work, 'cache'),
			'Acquire::Languages': 'none',
			'Debug::NoLocking': '1',
			'APT::Sandbox::User': 'root',
			...(architecture ? {'APT::Architectures::': architecture} : {}),
		}).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
		const apt = (...line) =>
			spawnSync('apt-get', ['-qq', ...settings, ...line], {cwd: work, encoding: 'utf8', timeout: 300_000});
		const wanted = names.map((name) => (architecture ? `${name}:${architecture}` : name));
		if (apt('update').status !== 0 || apt('download', ...wanted).status !== 0) return `${shown} could not be fetched`;
		for (const archive of readdirSync(work).filter((file) => file.endsWith('.deb')))
			if (spawnSync('dpkg-deb', ['-x', archive, 'package'], {cwd: work}).status !== 0)
				return `${archive} could not be unpacked`;
		mkdirSync(dirname(folder), {recursive: true});
		rmSync(folder, {recursive: true, force: true});
		spawnSync('cp', ['-r', join(work, 'package'), folder]);
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
		if (uri) return {uri, signedBy: /^Signed-By:\s*(\/\S+)/m.exec(text)?.[1]};
	}
	return undefined;
}
