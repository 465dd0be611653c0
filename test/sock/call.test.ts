import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import test from 'node:test';
import {CallWorld} from '../support/calls.js';
import {needs} from '../support/needs.js';
import {sleepsIn} from '../support/proc.js';
import {until} from '../support/until.js';
import {assertDone, assertFails} from '../support/world.js';

const {stringify} = JSON;

test('the story: a shell script in a folder is called from another process, as if it were here', async (t) => {
	const world = new CallWorld(t);
	world.method('add', 'echo $(($1 + $2))');
	world.method('greet', 'echo "Hello, $1"');
	world.method('broken', 'echo "cannot find it" >&2', 'exit 3');
	await world.serveMethods();
	assertDone(await world.call('calc', 'add', '2', '40'), '42\n');
	assertDone(await world.call('calc', 'greet', 'Ann'), '"Hello, Ann"\n');
	assertDone(await world.call('calc', 'greet', 'Ann', '-r'), 'Hello, Ann\n');
	assertDone(await world.call('calc', '--list'), 'add\nbroken\ngreet\n');
	assertFails(await world.call('calc', 'sub', '1'), 1, 'ipc-sock: sub: method not found (-32601)\n');
	assertFails(
		await world.call('calc', 'broken'),
		1,
		"ipc-sock: broken: 'broken' exited with status 3 (-32000)\ncannot find it\n",
	);
	assertDone(await world.call('calc', 'greet', 'Ann', '--json'), '{"result":"Hello, Ann"}\n');
	assertDone(await world.call('calc', '--list', '--json'), '["add","broken","greet"]\n');
	const failed = await world.call('calc', 'broken', '--json');
	assert.deepEqual([failed.status, failed.stderr], [1, '']);
	assert.deepEqual(JSON.parse(failed.stdout.toString()), {
		error: {
			code: -32000,
			message: "'broken' exited with status 3",
			data: {status: 3, stderr: 'cannot find it\n'},
		},
	});
	const {stdout} = await world.shell('x=$(ipc-sock call calc add 2 40) && echo "it is $x"');
	assert.equal(stdout.toString(), 'it is 42\n');
});

const passes = (words: string[], params: string) =>
	test(`as parameters ${words.join(' ')} are ${params}`, needs('python3'), async (t) => {
		const world = new CallWorld(t);
		const path = await world.stranger('geth');
		assertDone(await world.call(path, 'm', ...words), `{"method":"m","params":${params}}\n`);
	});
passes([], 'null');
passes(['2', 'a b', 'true', 'null', '"2"', '{"a":[1]}', '[]'], '[2,"a b",true,null,"2",{"a":[1]},[]]');
passes(['--string', '2', 'true', '{}'], '["2","true","{}"]');
passes(['', ' ', '01', 'nul', '{', '"'], '[""," ","01","nul","{","\\""]');
passes(['-1', '2'], '[-1,2]');
passes(['--', '-x', '--y'], '["-x","--y"]');
passes(['-N', 'a=1', 'b=x=y', 'c='], '{"a":1,"b":"x=y","c":""}');
passes(['-N', '-s', 'a=1'], '{"a":"1"}');
passes(['-p', '{"a": [1, 2]}'], '{"a":[1,2]}');
passes(['--params', '[]'], '[]');

const misused = (words: string[], why: string) =>
	test(`used wrongly: call ${words.join(' ')}`, async (t) => {
		const message = `ipc-sock: ${why}\nTry 'ipc-sock call --help'.\n`;
		assertFails(await new CallWorld(t).call(...words), 2, message);
	});
misused(['x'], 'METHOD is missing');
misused(['x', ''], 'METHOD is empty');
misused(['x', 'm', '--max-size', '0'], "--max-size: '0' is not a valid size: no message fits");
misused(['x', '--list', 'm'], '--list takes no METHOD');
misused(['x', '--batch', 'm'], '--batch takes no METHOD');
misused(['x', '--batch', '--json'], '--json and --batch cannot be combined');
misused(['x', 'm', '-r', '--json'], '--json and --raw-output cannot be combined');
misused(['x', '--batch', '--list'], '--batch and --list cannot be combined');
misused(['x', '--list', '--notify'], '--list and --notify cannot be combined');
misused(['x', '--batch', '-p', '[]'], '--params and --batch cannot be combined: the parameters are on stdin');
misused(['x', 'm', '--in-flight', '3'], '--in-flight needs --batch');
misused(['x', 'm', '-p', '[]', '1'], '--params cannot be combined with PARAM');
misused(['x', 'm', '-p', '[', '-N'], '--params cannot be combined with --named or --string');
misused(['x', 'm', '-p', '['], '--params: it is not JSON');
misused(['x', 'm', '-p', '1'], '--params: an array or an object is expected');
misused(['x', 'm', '-N'], '--named needs parameters: NAME=VALUE');
misused(['x', 'm', '-N', 'a'], "'a' is not a named parameter: NAME=VALUE is expected");
misused(['x', 'm', '-N', '=a'], "'=a' is not a named parameter: NAME=VALUE is expected");
misused(['x', 'm', '-N', 'a=1', 'a=2'], "the parameter 'a' is given twice");
misused(['x', 'm', '1', '--preset', 'qmp'], "'1' is not a named parameter: NAME=VALUE is expected");

test('parameters from stdin', needs('python3'), async (t) => {
	const world = new CallWorld(t);
	const path = await world.stranger('geth');
	const {stdout} = await world.run('ipc-sock', ['call', path, 'm', '-p', '-'], {input: '\n[1,\n 2]\n'});
	assert.equal(stdout.toString(), '{"method":"m","params":[1,2]}\n');
});

const answeredBy = (kind: string, what: string, ...words: string[]) =>
	test(`${kind}: ${what}`, needs('python3'), async (t) => {
		const world = new CallWorld(t);
		const path = await world.stranger(kind);
		assertDone(await world.call(path, 'get', '1', ...words), '{"method":"get","params":[1]}\n');
		assertFails(
			await world.call(path, 'fail', ...words),
			1,
			'ipc-sock: fail: No such thing (-32050): {"why":["a",1]}\n',
		);
	});
answeredBy('lightningd', 'over several lines, two newlines behind, the connection kept open, notifications before');
answeredBy('geth', 'a line');
answeredBy('late', 'after a moment, in two parts, the connection kept open');
answeredBy('lsp', 'headers both ways', '--framing', 'headers');
answeredBy('nul', 'NUL both ways', '--framing', 'null');

test('what was passed over shows with --verbose', needs('python3'), async (t) => {
	const world = new CallWorld(t);
	const {status, stderr} = await world.call(await world.stranger('lightningd'), 'get', '-v');
	assert.equal(status, 0);
	assert.match(stderr, /^ipc-sock: ignored: {"jsonrpc":"2.0","method":"log","params":{"level":"info"}}$/m);
});

test('QEMU: the greeting, named parameters, events in between, its own errors', needs('python3'), async (t) => {
	const world = new CallWorld(t);
	const path = await world.stranger('qmp');
	const qmp = (...words: string[]) => world.call(path, ...words, '--preset', 'qmp');
	assertDone(await qmp('query-status'), '{"status":"running","arguments":null}\n');
	assertDone(await qmp('query-status', 'a=1', 'b=x'), '{"status":"running","arguments":{"a":1,"b":"x"}}\n');
	assertDone(await qmp('--list'), 'query-status\nstop\n');
	assertFails(await qmp('explode'), 1, 'ipc-sock: explode: The command explode has not been found: CommandNotFound\n');
	const input = '{"method":"query-status"}\n{"method":"explode","id":"x"}\n';
	const {status, stdout, stderr} = await world.run('ipc-sock', ['call', path, '--batch', '--preset', 'qmp'], {input});
	assert.deepEqual([status, stderr], [1, 'ipc-sock: 1 of 2 calls failed\n']);
	assert.equal(
		stdout.toString(),
		'{"jsonrpc":"2.0","result":{"status":"running","arguments":null},"id":1}\n' +
			'{"jsonrpc":"2.0","error":{"code":0,"message":"The command explode has not been found","data":"CommandNotFound"},"id":"x"}\n',
	);
	const busy = await world.stranger('qmp-busy');
	const refused = `ipc-sock: '${busy}' refused 'qmp_capabilities': Somebody else is here\n`;
	assertFails(await world.call(busy, 'x', '--preset', 'qmp'), 1, refused);
	const other = await world.stranger('garbage');
	assertFails(await world.call(other, 'x', '--preset', 'qmp', '-t', '0.3'), 124, '');
});

test('mpv: commands with their parameters, request_id, events in between', needs('python3'), async (t) => {
	const world = new CallWorld(t);
	const path = await world.stranger('mpv');
	const mpv = (...words: string[]) => world.call(path, ...words, '--preset', 'mpv');
	assertDone(await mpv('get_property', 'volume'), '100.0\n');
	assertDone(await mpv('seek', '-N', 'target=5'), '{"name":"seek","target":5}\n');
	assertDone(await mpv('--list'), 'seek\nquit\n');
	assertFails(await mpv('nonsense'), 1, 'ipc-sock: nonsense: invalid parameter\n');
});

test(
	'mpv: a batch sends integers as request_id, and prints the ids that the calls had',
	needs('python3'),
	async (t) => {
		const world = new CallWorld(t);
		const path = await world.stranger('mpv');
		const ids = ['"a"', '1.50', 'null', '12345678901234567890', '3', '"3"', undefined, '2'];
		const input = ids.map((id) => `{"method":"show"${id === undefined ? '' : `,"id":${id}`},"params":{}}\n`).join('');
		const {status, stdout, stderr} = await world.run('ipc-sock', ['call', path, '--batch', '--preset', 'mpv'], {input});
		assert.deepEqual([status, stderr], [0, '']);
		assert.deepEqual(
			stdout.toString().split('\n').slice(0, -1),
			ids.map((id) => `{"jsonrpc":"2.0","result":{"name":"show"},"id":${id ?? 7}}`),
		);
		const failing = '{"method":"nonsense","id":"x"}\n{"method":"show","params":{},"id":"x"}\n';
		// An id may be used again once its call is answered.
		const again = await world.run('ipc-sock', ['call', path, '--batch', '--preset', 'mpv', '--in-flight', '1'], {
			input: failing,
		});
		assert.deepEqual([again.status, again.stderr], [1, 'ipc-sock: 1 of 2 calls failed\n']);
		assert.equal(
			again.stdout.toString(),
			'{"jsonrpc":"2.0","error":{"code":0,"message":"invalid parameter"},"id":"x"}\n' +
				'{"jsonrpc":"2.0","result":{"name":"show"},"id":"x"}\n',
		);
	},
);

test('a server of version 1.0, and one that cannot tell which call it refuses', needs('python3'), async (t) => {
	const world = new CallWorld(t);
	assertDone(await world.call(await world.stranger('version1'), 'get'), '42\n');
	assertFails(await world.call(await world.stranger('anonymous'), 'get'), 1, 'ipc-sock: get: parse error (-32700)\n');
});

test('no answer: closed, silent, no JSON, no process there', needs('python3'), async (t) => {
	const world = new CallWorld(t);
	const closing = await world.stranger('closing');
	assertFails(
		await world.call(closing, 'get'),
		1,
		`ipc-sock: cannot call 'get' on '${closing}': the connection was closed before the answer arrived\n`,
	);
	const silent = await world.stranger('silent');
	assertFails(await world.call(silent, 'get', '-t', '0.2'), 124, '');
	assertFails(await world.call(silent, 'get', '-t', '0.2', '-E', '9'), 9, '');
	const garbage = await world.stranger('garbage');
	assertFails(
		await world.call(garbage, 'get'),
		1,
		`ipc-sock: the answer of '${garbage}' is not JSON: 'HTTP/1.1 400 Bad Request\\r'\n`,
	);
	assertFails(await world.call(garbage, '--list'), 1, /is not JSON/);
	assertFails(await world.call('nobody', 'get'), 1, /^ipc-sock: cannot connect to 'nobody': no such socket/);
	assertFails(
		await world.call(await world.stranger('geth'), '--list'),
		1,
		/^ipc-sock: cannot list the methods of '.*': its answer is not a list of names\n$/,
	);
});

test('an answer that is too long is refused, one that fits is not', needs('python3'), async (t) => {
	const world = new CallWorld(t);
	const path = await world.stranger('geth');
	assertFails(
		await world.call(path, 'get', 'x'.repeat(2000), '--max-size', '1K'),
		1,
		`ipc-sock: invalid answer of '${path}': longer than 1.0K (1024 bytes)\n`,
	);
	const {status} = await world.call(path, 'get', 'x'.repeat(2000), '--max-size', '4K');
	assert.equal(status, 0);
});

test('Ctrl-C ends a call that waits, by that signal', needs('python3'), async (t) => {
	const world = new CallWorld(t);
	const path = await world.stranger('silent');
	const calling = world.start('ipc-sock', ['call', path, 'get']);
	await until('it waits', () => sleepsIn(calling.pid, /poll/));
	assert.deepEqual((await calling.kill('SIGINT').end()).signal, 'SIGINT');
});

test('a notification is sent, nothing is waited for, and it is carried out although its sender has gone', async (t) => {
	const world = new CallWorld(t);
	world.method('note', 'sleep 0.2', `echo "$1" >>${world.file('noted')}`);
	await world.serveMethods();
	assertDone(await world.call('calc', 'note', 'one', '--notify'), '');
	const {status, stdout} = await world.run('ipc-sock', ['call', 'calc', '--batch', '--notify'], {
		input: '{"method":"note","params":["two"]}\n{"method":"note","params":["three"]}\n',
	});
	assert.deepEqual([status, stdout.toString()], [0, '']);
	const noted = () => {
		try {
			return readFileSync(world.file('noted'), 'utf8').split('\n').sort().join(' ');
		} catch {
			return '';
		}
	};
	await until('all three are noted', () => noted() === ' one three two');
});

test('a batch: answers as they come, ids as they were given, the number of the call where none was', async (t) => {
	const world = new CallWorld(t);
	world.method('echo', 'echo "$1"');
	world.method('broken', 'exit 1');
	await world.serveMethods('--jobs', '1');
	const input = [
		'{"method":"echo","params":[1]}',
		'',
		'{"jsonrpc":"2.0","method":"echo","params":["two words"],"id":"b"}',
		'{"id":12345678901234567890,"method":"echo","params":[12345678901234567890]}',
		'{"jsonrpc":"2.0","method":"echo","params":[4],"id":4}',
		'{"method":"broken","id":null}',
	].join('\n');
	const {status, stdout, stderr} = await world.run('ipc-sock', ['call', 'calc', '--batch'], {input});
	assert.deepEqual([status, stderr], [1, 'ipc-sock: 1 of 5 calls failed\n']);
	assert.deepEqual(stdout.toString().split('\n'), [
		'{"jsonrpc":"2.0","result":1,"id":1}',
		'{"jsonrpc":"2.0","result":"two words","id":"b"}',
		'{"jsonrpc":"2.0","result":12345678901234567890,"id":12345678901234567890}',
		'{"jsonrpc":"2.0","result":4,"id":4}',
		`{"jsonrpc":"2.0","error":{"code":-32000,"message":"'broken' exited with status 1","data":{"status":1,"stderr":""}},"id":null}`,
		'',
	]);
});

test('a batch: answers are told apart by their ids, not by their order', needs('python3'), async (t) => {
	const world = new CallWorld(t);
	const path = await world.stranger('twisted');
	const {status, stdout} = await world.run('ipc-sock', ['call', path, '--batch'], {
		input: ['a', 'b', 'c', 'd'].map((method) => `${stringify({method})}\n`).join(''),
	});
	const seen = stdout
		.toString()
		.split('\n')
		.slice(0, -1)
		.map((line) => JSON.parse(line));
	assert.equal(status, 0);
	assert.deepEqual(
		seen.map(({id, result}) => [id, result.method]),
		[
			[2, 'b'],
			[1, 'a'],
			[4, 'd'],
			[3, 'c'],
		],
	);
});

test('a batch as a coprocess: each answer is there before the next call is written', async (t) => {
	const world = new CallWorld(t);
	world.method('add', 'echo $(($1 + $2))');
	await world.serveMethods();
	const batch = world.start('ipc-sock', ['call', 'calc', '--batch', '-t', '250']);
	for (const number of [1, 2, 3]) {
		batch.stdin.write(`{"method":"add","params":[${number},1]}\n`);
		await batch.printed(`"result":${number + 1},"id":${number}}\n`);
	}
	assert.equal((await batch.end()).status, 0);
});

// biome-ignore lint/suspicious/noTemplateCurlyInString: it is the shell's
const statusOfCall = 'echo ${PIPESTATUS[-2]} >&2';

test('the reader of stdout leaves while a call or a batch waits: SIGPIPE at once, and not at the next answer', async (t) => {
	const world = new CallWorld(t);
	world.method('answer', 'echo 1');
	world.method('never', 'exec sleep 60');
	await world.serveMethods();
	const single = await world.shell(`ipc-sock call calc never | true; ${statusOfCall}`);
	assert.deepEqual([single.status, single.stderr], [0, '141\n']);
	// The batch waits for its next line, which does not come while its writer lives.
	const calls = world.file('calls');
	const line = `mkfifo ${calls}; exec 9<>${calls}; echo '{"method":"answer"}' >&9; ipc-sock call calc --batch <${calls} | head -n 1; ${statusOfCall}`;
	const batch = await world.shell(line);
	assert.deepEqual([batch.stdout.toString(), batch.stderr], ['{"jsonrpc":"2.0","result":1,"id":1}\n', '141\n']);
	// A notification prints nothing, so that it needs no reader.
	const notified = await world.shell(`ipc-sock call calc answer --notify | true; ${statusOfCall}`);
	assert.deepEqual([notified.status, notified.stderr], [0, '0\n']);
});

test('a batch that cannot go on says so, and prints what came before', needs('python3'), async (t) => {
	const world = new CallWorld(t);
	const path = await world.stranger('geth');
	const batch = (words: string[], input: string | Buffer) =>
		world.run('ipc-sock', ['call', path, '--batch', ...words], {input});
	const fails = async (input: string | Buffer, why: string, before: string) => {
		const {status, stdout, stderr} = await batch([], input);
		assert.equal(status, 1);
		assert.equal(stderr.split('\n').at(-2), `ipc-sock: ${why}; ${before} before it sent`);
		// Each that was sent has been answered.
		assert.equal(stdout.toString().split('\n').length - 1, Number.parseInt(before, 10));
	};
	await fails('{"method":"a"}\nnonsense\n', 'line 2 of stdin is not JSON', '1 call');
	await fails('\n{"method":"a"}\n{"method":"b"}\nx\n{"method":"c"}\n', 'line 4 of stdin is not JSON', '2 calls');
	await fails('[1]\n', 'line 1 of stdin is not an object with a "method"', '0 calls');
	await fails('{"method":1}\n', 'line 1 of stdin is not an object with a "method"', '0 calls');
	await fails(
		'{"method":"a","params":"b"}\n',
		'line 1 of stdin has "params" that are neither an array nor an object',
		'0 calls',
	);
	await fails(
		'{"method":"a","id":7}\n{"method":"a","id":7}\n',
		'line 2 of stdin has the id 7, which is still in use',
		'1 call',
	);
	for (const id of ['[1]', '{}', 'true'])
		await fails(
			`{"method":"a"}\n{"method":"b","id":${id}}\n{"method":"c"}\n`,
			'line 2 of stdin has an "id" that is not a string, a number or null',
			'1 call',
		);
	const bad = 'is not valid UTF-8, as JSON must be';
	await fails(Buffer.from([0x22, 0xff, 0x22, 10]), `line 1 of stdin ${bad}`, '0 calls');
	await fails(Buffer.from('{"method":"a"}\n"\xff', 'latin1'), `line 2 of stdin ${bad}`, '1 call');
	await fails(Buffer.from('{"method":"a"}\n"\xff"\n{"method":"b"}\n', 'latin1'), `line 2 of stdin ${bad}`, '1 call');
	const closing = await world.stranger('closing');
	assertFails(
		await world.run('ipc-sock', ['call', closing, '--batch'], {input: '{"method":"a"}\n{"method":"b"}\n'}),
		1,
		`ipc-sock: '${closing}' closed the connection with 2 calls unanswered\n`,
	);
	const silent = await world.stranger('silent');
	assertFails(
		await world.run('ipc-sock', ['call', silent, '--batch', '-t', '0.2'], {input: '{"method":"a"}\n'}),
		124,
		'ipc-sock: gave up: 1 call without an answer\n',
	);
});

test('twenty thousand calls on one connection, more than it holds: each once', needs('python3'), async (t) => {
	const world = new CallWorld(t);
	const path = await world.stranger('geth');
	const count = 20_000;
	const lines = Array.from({length: count}, (_, i) => `{"method":"m","params":[${i},"${'x'.repeat(i % 50)}"]}\n`);
	const {status, stdout, stderr} = await world.run('ipc-sock', ['call', path, '--batch', '--in-flight', '5000'], {
		input: lines.join(''),
	});
	assert.deepEqual([status, stderr], [0, '']);
	const answers = stdout.toString().split('\n').slice(0, -1);
	assert.equal(answers.length, count);
	const seen = new Set<number>();
	for (const line of answers) {
		const {id, result} = JSON.parse(line);
		assert.equal(result.params[0], id - 1);
		seen.add(id);
	}
	assert.equal(seen.size, count);
});
