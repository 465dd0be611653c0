// On installation of the published package: compiles the addon if no prebuilt one fits, and makes the code cache for
// the installed Node. In a clone nothing is built yet; `prepare` does all of it.
import {spawnSync} from 'node:child_process';
import {existsSync, readFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const commands = Object.keys(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).bin).filter((name) =>
	existsSync(join(root, 'dist', `${name}.js`)),
);
if (commands.length > 0) {
	run('src/build/compile-native.mjs', '--unless-prebuilt');
	for (const command of commands) run('src/build/code-cache.cjs', command);
}

function run(...words) {
	const {status} = spawnSync(process.execPath, words, {cwd: root, stdio: 'inherit'});
	if (status !== 0) process.exit(status ?? 1);
}
