// A compiler for musl on another processor. Debian has none, but it has the library for every processor: with that, the compiler
// for glibc makes executables for musl, as musl-gcc does on the machine's own processor.
import {spawnSync} from 'node:child_process';
import {existsSync, readFileSync, renameSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {cacheFolder, fetchPackages} from './debian-package.mjs';
import {compilerFor} from './targets.mjs';

const machines = {x64: {gcc: 'x86_64', debian: 'amd64'}, arm64: {gcc: 'aarch64', debian: 'arm64'}};

/** The compiler for a target, which is made if it can be; undefined where there is none. */
export const findCompiler = (target) =>
	compilerFor(target) ?? (target.name.endsWith('-musl') ? foreignMuslCompiler(target.arch) : undefined);

/** The path of the compiler, which is made once and kept; undefined where that is not possible. */
function foreignMuslCompiler(arch) {
	const {gcc: machine, debian: architecture} = machines[arch];
	const gcc = `${machine}-linux-gnu-gcc`;
	const folder = join(cacheFolder(), `musl-${arch}-${debianRelease()}`);
	const compiler = join(folder, `${machine}-linux-musl-gcc`);
	if (existsSync(compiler)) return compiler;
	if (spawnSync(gcc, ['-dumpmachine']).status !== 0) return undefined;
	if (fetchPackages({names: ['musl', 'musl-dev'], suite: debianRelease(), architecture, folder})) return undefined;
	// The packages expect to lie in /usr.
	const specs = join(folder, 'usr', 'lib', `${machine}-linux-musl`, 'musl-gcc.specs');
	writeFileSync(specs, readFileSync(specs, 'utf8').replaceAll('/usr/', `${folder}/usr/`));
	const shared = join(folder, 'lib', `${machine}-linux-musl`);
	writeFileSync(`${compiler}.new`, `#!/bin/sh\nexec ${gcc} "$@" -specs '${specs}' -L '${shared}'\n`, {mode: 0o755});
	renameSync(`${compiler}.new`, compiler);
	return compiler;
}

const debianRelease = () =>
	(existsSync('/etc/os-release') && /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1]) ||
	'stable';
