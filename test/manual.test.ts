import assert from 'node:assert/strict';
import {execFileSync, spawnSync} from 'node:child_process';
import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'node:test';
import {status} from '../src/common/exit.js';
import {everywhere} from '../src/common/options.js';
import {type Command, operandSynopsis, optionName} from '../src/common/verb.js';
import {mq} from '../src/mq/index.js';
import {pipe} from '../src/pipe/index.js';
import {sem} from '../src/sem/index.js';
import {shm} from '../src/shm/index.js';
import {signal} from '../src/signal/index.js';
import {sock} from '../src/sock/index.js';
import {needs} from './support/needs.js';
import {root} from './support/run.js';

const commands: readonly Command[] = [pipe, signal, sem, mq, shm, sock];
const pages = readdirSync(join(root, 'man')).sort();
const {skip} = needs('mandoc');

const overstruck = new RegExp(`.${String.fromCharCode(8)}`, 'g');

/** A page as a reader sees it, without the terminal's overstriking. */
const rendered = (page: string): string =>
	execFileSync('mandoc', ['-T', 'utf8', '-O', 'width=200', join(root, 'man', page)], {encoding: 'utf8'}).replace(
		overstruck,
		'',
	);

test('the form of every page is right', {skip}, () => {
	for (const page of pages) {
		const {stdout, stderr} = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning', join(root, 'man', page)], {
			encoding: 'utf8',
		});
		assert.equal(stdout + stderr, '', page);
	}
});

test('every command has its page, and package.json lists them', () => {
	const {man} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
	assert.deepEqual(
		[...man].sort(),
		pages.map((page) => `man/${page}`),
	);
	for (const {name} of commands) assert.ok(pages.includes(`${name}.1`));
});

for (const command of commands) {
	test(`${command.name}(1) has every verb with its operands, and no other`, {skip}, () => {
		const synopsis = /^SYNOPSIS\n([\s\S]*?)^\S/m.exec(rendered(`${command.name}.1`))?.[1] ?? '';
		const lines = synopsis
			.split('\n')
			.map((line) => line.trim())
			.filter((line) => line !== '');
		const found = lines.map((line) => line.replaceAll(' ...', '...').replace(/ \[OPTIONS\]/g, ''));
		const expected = Object.entries(command.verbs).map(([name, verb]) =>
			`${command.name} ${name} ${operandSynopsis(verb)}`.trim(),
		);
		assert.deepEqual(found.sort(), expected.sort());
	});

	test(`${command.name}(1) explains every option of every verb, and no other`, {skip}, () => {
		const text = readFileSync(join(root, 'man', `${command.name}.1`), 'utf8');
		const sections = new Map<string, string>();
		for (const part of text.split(/^\.Ss /m).slice(1)) {
			const title = part.split('\n', 1)[0] as string;
			sections.set(title.split(/[ ,]/)[0] as string, (part.split(/^\.Sh /m)[0] as string).replaceAll('\\-', '-'));
		}
		for (const [name, verb] of Object.entries(command.verbs)) {
			const section = sections.get(name);
			assert.ok(section, `${name} has no section`);
			// mdoc writes a long option as `.Fl -name` and a letter as `.Fl x`.
			const found = new Set(
				[...section.matchAll(/^\.It .*$/gm)].flatMap(([line]) =>
					[...line.matchAll(/Fl -([a-z][\w-]*)/g)].map(([, option]) => option as string),
				),
			);
			const declared = Object.keys(verb.options)
				.filter((key) => !verb.options[key]?.isHidden)
				.map(optionName);
			assert.deepEqual([...found].sort(), declared.sort(), name);
			for (const [key, {short}] of Object.entries(verb.options)) {
				if (!short) continue;
				const item = section
					.split('\n')
					.find((line) => line.startsWith('.It ') && new RegExp(`Fl -${optionName(key)}( |$)`).test(line));
				assert.match(item ?? '', new RegExp(`Fl ${short}( |$)`), `${name}: --${optionName(key)} is also -${short}`);
			}
		}
	});

	test(`${command.name}(1) names the options that every verb takes`, {skip}, () => {
		const text = rendered(`${command.name}.1`);
		for (const key of Object.keys(everywhere)) assert.match(text, new RegExp(`--${optionName(key)}\\b`));
	});
}

test('ipc-tools(7) explains every status', {skip}, () => {
	const section = /^EXIT STATUS\n([\s\S]*?)^\S/m.exec(rendered('ipc-tools.7'))?.[1] ?? '';
	for (const number of Object.values(status))
		assert.match(section, new RegExp(`^ +${number}\\b|\\b${number}(\\b|\\+)`, 'm'), String(number));
});
