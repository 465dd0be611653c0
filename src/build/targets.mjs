// The systems that executables are made for in advance, and which of them this system is.
import {spawnSync} from 'node:child_process';

/** Each with the compilers that can make it. */
export const targets = [
	{name: 'linux-x64-glibc', arch: 'x64', compilers: ['x86_64-linux-gnu-gcc']},
	{name: 'linux-x64-musl', arch: 'x64', compilers: ['x86_64-linux-musl-gcc']},
	{name: 'linux-arm64-glibc', arch: 'arm64', compilers: ['aarch64-linux-gnu-gcc']},
	{name: 'linux-arm64-musl', arch: 'arm64', compilers: ['aarch64-linux-musl-gcc']},
];

/** The C library that this Node runs with; Node's report names the version of glibc, and musl not at all. */
const libc = () => (process.report.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl');

export const localTarget = () => `linux-${process.arch}-${libc()}`;

/** The compiler for a target on this machine; undefined where there is none. */
export function compilerFor({name, arch, compilers}) {
	const candidates = [
		...(name === localTarget() ? [process.env.CC || 'cc'] : []),
		...compilers,
		// Debian's, for the machine's own processor.
		...(name === `linux-${process.arch}-musl` ? ['musl-gcc'] : []),
	];
	return candidates.find((compiler) => {
		const {status, stdout} = spawnSync(compiler, ['-dumpmachine'], {encoding: 'utf8'});
		return status === 0 && stdout.startsWith(arch === 'x64' ? 'x86_64-' : 'aarch64-');
	});
}
