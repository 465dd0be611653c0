import assert from 'node:assert/strict';
import {closeSync, readFileSync, writeSync} from 'node:fs';
import {join} from 'node:path';
import test from 'node:test';
import {root} from './support/run.js';
import {World} from './support/world.js';

test('as a library: import and require give the classes, with types', async (t) => {
	const world = new World(t);
	process.env.IPC_RUNTIME_DIR = world.folder;
	const {Fifo, SystemError} = (await import(join(root, 'dist', 'index.js'))) as typeof import('../src/index.js');
	assert.equal(Fifo.create('log'), true);
	assert.equal(Fifo.create('log'), false);
	const fifo = Fifo.open('log');
	assert.equal(fifo.path, world.path('log'));
	assert.equal(fifo.tryOpenWriter(), undefined);
	assert.equal(fifo.openWriter(20), undefined);
	const reader = fifo.openReader();
	const writer = fifo.openWriter(0) ?? fifo.tryOpenWriter();
	assert.ok(writer !== undefined);
	writeSync(writer, 'hello');
	closeSync(writer);
	assert.equal(readFileSync(reader, 'utf8'), 'hello');
	closeSync(reader);
	fifo.close();
	Fifo.remove('log');
	assert.throws(() => Fifo.open('log'), SystemError);
	assert.match(readFileSync(join(root, 'dist', 'types', 'src', 'index.d.ts'), 'utf8'), /Fifo/);
});
