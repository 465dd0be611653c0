// The commands as their own declarations describe them, for the parts of the build that need to know: help and the executable.
import {existsSync, mkdirSync, readdirSync, rmSync} from 'node:fs';
import {createRequire} from 'node:module';
import {join} from 'node:path';
import {build} from 'esbuild';

/** The folders of the commands: those with a main.ts. */
export const commandFolders = (root) =>
	readdirSync(join(root, 'src'), {withFileTypes: true})
		.filter((entry) => entry.isDirectory() && existsSync(join(root, 'src', entry.name, 'main.ts')))
		.map(({name}) => name);

/**
 * Loads the commands on Node, once. For each: `folder`, `command` (src/common/verb.ts), and `verbs`: name, file and exported
 * name of those that have a file of their own. `helpText` is src/build/help.ts.
 */
export async function loadCommands(root) {
	const source = join(root, 'src');
	const folders = commandFolders(root);
	const files = folders.flatMap((folder) =>
		readdirSync(join(source, folder))
			.filter((file) => file.endsWith('.ts') && file !== 'main.ts')
			.map((file) => `${folder}/${file.slice(0, -3)}`),
	);
	const script = join(root, 'dist', `declarations-${process.pid}.cjs`);
	mkdirSync(join(root, 'dist'), {recursive: true});
	await build({
		absWorkingDir: root,
		stdin: {
			contents: `${files.map((file, i) => `import * as file${i} from './${file}.js';`).join('\n')}
export const files = {${files.map((file, i) => `'${file}': file${i}`).join(', ')}};
export {helpText} from './build/help.js';`,
			resolveDir: source,
		},
		outfile: script,
		bundle: true,
		platform: 'node',
		format: 'cjs',
		target: 'node20',
		// yargs looks for its translations beside its own file; we only use English.
		define: {
			'import.meta.url': '"file:///ipc-tools/yargs/lib/shims/index.mjs"',
			__dirname: JSON.stringify(join(root, 'dist')),
		},
		logLevel: 'warning',
	});
	try {
		const {files: loaded, helpText} = createRequire(import.meta.url)(script);
		const commands = folders.map((folder) => {
			const command = loaded[`${folder}/index`][folder];
			const verbs = Object.entries(command.verbs).flatMap(([name, verb]) => {
				for (const file of files.filter((each) => each.startsWith(`${folder}/`)))
					for (const [exported, value] of Object.entries(loaded[file]))
						if (value === verb) return [{name, file, exported, verb}];
				return [];
			});
			return {folder, command, verbs};
		});
		return {commands, helpText};
	} finally {
		rmSync(script);
	}
}
