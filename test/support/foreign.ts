import {spawnSync} from 'node:child_process';
import {linkSync, mkdirSync} from 'node:fs';
import {join} from 'node:path';
import {findCompiler} from '../../src/build/foreign-musl.mjs';
import {compilerFor, targets} from '../../src/build/targets.mjs';
import {isLong} from './rounds.js';
import {peer, root, run} from './run.js';
import {runtime} from './runtime.js';
import type {World} from './world.js';

/** A system that executables are made for: its name, and the compiler for it if there is one. */
export interface Foreign {
	name: string;
	compiler: string | undefined;
}

export function foreign(name: string): Foreign {
	const target = targets.find((each) => each.name === name);
	if (!target) throw new Error(`no target is called ${name}`);
	// Only a long run needs one that has to be fetched.
	return {name, compiler: isLong ? findCompiler(target) : compilerFor(target)};
}

/** The options of a test that builds for another system, which compiles the engine once more. */
export function needsBuild({name, compiler}: Foreign): {skip: string | false} {
	if (runtime === 'node') return {skip: 'needs the executable'};
	if (!compiler) return {skip: `needs a compiler for ${name}`};
	return {skip: !isLong && 'takes a minute (npm run test:long)'};
}

/** Builds the commands and sem-peer; answers the folder with `ipc-sem` and the others, and with `sem-peer`. */
export async function buildFor({name, compiler}: Foreign, world: World): Promise<string> {
	const {status, stdout, stderr} = await run(
		process.execPath,
		['src/build/prebuild.mjs', '--output', world.file('built'), name],
		{cwd: root, env: forward('HOME', 'XDG_CACHE_HOME', 'QUICKJS_SRC', 'LD_LIBRARY_PATH')},
	);
	if (status !== 0) throw new Error(`${stdout}${stderr}`);
	const folder = world.file(name);
	mkdirSync(folder);
	for (const command of ['mq', 'pipe', 'sem', 'shm', 'signal', 'sock'])
		linkSync(join(world.file('built'), name, 'ipc'), join(folder, `ipc-${command}`));
	const source = join(root, 'test', 'peers', 'sem-peer.c');
	const flags = ['-std=c11', '-D_GNU_SOURCE', '-static', '-pthread', source, '-o', join(folder, 'sem-peer')];
	const made = spawnSync(compiler as string, flags, {encoding: 'utf8'});
	if (made.status !== 0) throw new Error(made.stderr);
	return folder;
}

export const forward = (...names: string[]): Record<string, string> =>
	Object.fromEntries(names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));

/** Where the commands and sem-peer of this system are. */
export const local = {command: (name: string) => join(root, 'bin', name), peer: peer('sem-peer')};
