import assert from 'node:assert/strict';
import {readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type TestContext} from 'node:test';
import {transform} from 'esbuild';
import {launcher, root, run} from './support/run.js';
import {uniqueName} from './support/unique-name.js';
import {World} from './support/world.js';

const objects = join(root, 'src', 'objects');
const exported = ['src/index.ts', 'src/promises.ts'].flatMap((path) =>
	[...readFileSync(join(root, path), 'utf8').matchAll(/export \{([^}]*)\} from '\.\/objects\/([^']+)\.js'/g)].flatMap(
		([, names = '', file = '']) =>
			[...names.matchAll(/(type )?(\w+)/g)]
				.filter(([, type]) => !type)
				.map(([, , name]) => ({name, file: `${file}.ts`})),
	),
);

/** The example in the comment of a class. */
function exampleIn(file: string): string | undefined {
	const [, comment] = /@example\n \* ```ts\n((?: \*.*\n)*?) \* ```\n \*\/\nexport class /.exec(
		readFileSync(join(objects, file), 'utf8'),
	) ?? [undefined, undefined];
	return comment?.replace(/^ \* ?/gm, '');
}

/** What the comments behind the lines that print say is printed. */
const outputOf = (example: string): string =>
	[...example.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text]) => `${text}\n`).join('');

/** Runs them in one process, one after the other, with this name for their objects. */
async function runAll(t: TestContext, examples: readonly {example: string}[], name: string): Promise<string> {
	const world = new World(t);
	const source = examples.map(({example}) => {
		const lines = example.replaceAll("'example'", `'${name}'`).split('\n');
		const imports = lines.filter((line) => line.startsWith('import '));
		const rest = lines.filter((line) => !line.startsWith('import '));
		const bindings = imports.map((line) => line.replace(/^import (.*) from ('.*');$/, 'const $1 = require($2);'));
		return `await (async () => {\n${[...bindings, ...rest].join('\n')}\n})();`;
	});
	const {code} = await transform(`(async () => {\n${source.join('\n')}\n})();`, {loader: 'ts', target: 'node20'});
	// Within the package its own name leads to it.
	const path = join(root, 'dist', 'test', `${name}.cjs`);
	writeFileSync(path, code);
	const {status, stdout, stderr} = await world.startOther(process.execPath, [path]).end();
	assert.deepEqual([status, stderr], [0, '']);
	world.assertNothingLeft();
	return stdout.toString();
}

test('each class of the library has an example, which prints what its comments say, and leaves nothing', async (t) => {
	assert.ok(exported.length >= 14, `${exported.length} classes`);
	const examples = exported.map(({name, file}) => {
		const example = exampleIn(file);
		assert.ok(example, `${name} in ${file} has no example`);
		return {example};
	});
	const name = uniqueName('example');
	assert.equal(await runAll(t, examples, name), examples.map(({example}) => outputOf(example)).join(''));
	assert.deepEqual(
		readdirSync('/dev/shm').filter((entry) => entry.includes(name)),
		[],
	);
	assert.match((await run(launcher('ipc-mq'), ['stat', name])).stderr, /no such queue/);
});
