import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'node:test';
import {root} from './support/run.js';

test('the README of the benchmark explains every row, and no other', () => {
	const list = execFileSync(process.execPath, [join(root, 'test', 'bench', 'run.mjs'), '--list'], {encoding: 'utf8'});
	const ids = list
		.trim()
		.split('\n')
		.map((line) => line.split(':')[0] as string);
	const text = readFileSync(join(root, 'test', 'bench', 'README.md'), 'utf8');
	// `start-up-…` stands for all that begin with it.
	const explained = [...text.matchAll(/^\| (`[^|]*) \|/gm)].flatMap(([, cell]) =>
		[...(cell as string).matchAll(/`([^`]+)`/g)].map(([, id]) => id as string),
	);
	const fits = (id: string, known: string) => (known.endsWith('…') ? id.startsWith(known.slice(0, -1)) : id === known);
	assert.deepEqual(
		ids.filter((id) => !explained.some((known) => fits(id, known))),
		[],
	);
	assert.deepEqual(
		explained.filter((known) => !ids.some((id) => fits(id, known))),
		[],
	);
});
