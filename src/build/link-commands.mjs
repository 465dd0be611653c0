// Makes dist/commands/ipc-*, which bin/ and npm link to: links to the executable, or small scripts that start Node. Called with
// --launchers before the package is packed, since an archive of npm holds no links.
import {existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

const home = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

export function linkCommands(root, {toExecutable}) {
	const folder = join(root, 'dist', 'commands');
	rmSync(folder, {recursive: true, force: true});
	mkdirSync(folder, {recursive: true});
	const {bin} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
	for (const name of Object.keys(bin)) {
		const path = join(folder, name);
		if (toExecutable) symlinkSync('../ipc', path);
		else writeFileSync(path, `#!/usr/bin/env node\nrequire("../start.js").start("${name}");\n`, {mode: 0o755});
	}
}

if (process.argv[1] === fileURLToPath(import.meta.url))
	linkCommands(home, {toExecutable: existsSync(join(home, 'dist', 'ipc')) && !process.argv.includes('--launchers')});
