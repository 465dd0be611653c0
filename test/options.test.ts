import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'node:test';
import {optionsOf} from '../src/common/command-line/command-line.js';
import {everywhere} from '../src/common/options.js';
import {type Option, optionName} from '../src/common/verb.js';
import {commands} from './support/reading.js';
import {root} from './support/run.js';

interface Use {
	readonly where: string;
	readonly command: string;
	readonly letter: string | undefined;
	/** How the value is written: ` N`, `[=SEM]`, or nothing. */
	readonly value: string;
}

const writtenValue = ({value, optionalValue}: Option): string => {
	if (!value) return '';
	return optionalValue ? `[=${value.placeholder}]` : ` ${value.placeholder}`;
};

/** Every option by its name, with each verb that has it. */
const uses = new Map<string, Use[]>();
const add = (name: string, use: Use) => uses.set(name, [...(uses.get(name) ?? []), use]);
for (const {name: command, verbs} of commands) {
	for (const [verb, {options}] of Object.entries(verbs))
		for (const [key, option] of Object.entries<Option>({...options, ...everywhere}))
			add(optionName(key), {where: `${command} ${verb}`, command, letter: option.short, value: writtenValue(option)});
	for (const [name, letter] of [
		['help', 'h'],
		['version', 'V'],
	] as const)
		add(name, {where: command, command, letter, value: ''});
}

test('an option has the same letter, or none, and the same kind of value in every verb', () => {
	for (const [name, [first, ...others]] of uses)
		for (const {where, letter, value} of others)
			assert.deepEqual([letter, value], [first?.letter, first?.value], `--${name} of ${where} and of ${first?.where}`);
});

test('a letter belongs to one option', () => {
	const owners = new Map<string, string>();
	for (const [name, found] of uses)
		for (const {letter, where} of found) {
			if (letter === undefined) continue;
			assert.equal(owners.get(letter) ?? name, name, `-${letter} of ${where}`);
			owners.set(letter, name);
		}
});

test('a spelling that is not shown does not take the place of an option of its verb', () => {
	for (const {name: command, verbs} of commands)
		for (const [name, verb] of Object.entries(verbs)) {
			const options = Object.entries(optionsOf(verb));
			const shown = options.flatMap(([key, {short}]) => [`--${optionName(key)}`, `-${short}`]);
			const hidden = options.flatMap(([, {also = []}]) => also);
			const all = [...hidden, ...shown.filter((word) => word !== '-undefined')];
			assert.equal(new Set(all).size, all.length, `${command} ${name}`);
		}
});

const section =
	/^\.Sh OPTIONS\n([\s\S]*?)^\.Sh /m.exec(readFileSync(join(root, 'man', 'ipc-tools.7'), 'utf8'))?.[1] ?? '';

test('ipc-tools(7) has a table of the options with a letter, or of more than one command', () => {
	const table = /^\.Bl -column[\s\S]*?^\.El/m.exec(section)?.[0] ?? '';
	const found = [...table.matchAll(/^\.It Fl -(\S+)(?: Ar (\S+))? Ta (?:Fl (\S)|\\&) Ta (.+)$/gm)].map(
		([, name, value, letter, where]) => ({name, value: value ? ` ${value}` : '', letter, where}),
	);
	const expected = [...uses].flatMap(([name, [first, ...others]]) => {
		const users = [...new Set([first, ...others].map((use) => use?.command.replace('ipc-', '')))].sort();
		if (first?.letter === undefined && users.length === 1) return [];
		const where = users.length === commands.length ? 'all' : users.join(', ');
		return [{name, value: first?.value ?? '', letter: first?.letter, where}];
	});
	const byName = (a: {name?: string | undefined}, b: {name?: string | undefined}) =>
		(a.name as string) < (b.name as string) ? -1 : 1;
	assert.deepEqual(found, expected.sort(byName));
});

test('ipc-tools(7) names the options whose meaning depends on the verb, and each of them exists', () => {
	const list = section.slice(section.indexOf('the meaning depends on the verb'));
	const found = [...list.matchAll(/^\.It Fl -(\S+)/gm)].map(([, name]) => name as string);
	assert.deepEqual(found, ['count', 'framing', 'timeout', 'type', 'value']);
	for (const name of found) assert.ok(uses.has(name), name);
});
