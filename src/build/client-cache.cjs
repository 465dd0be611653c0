// Has the client of NATS make a call, and keeps what V8 compiled meanwhile: dist/cluster-worker.cache, as code-cache.cjs does it for the
// commands.
'use strict';
const {once} = require('node:events');
const {writeFileSync} = require('node:fs');
const {createRequire} = require('node:module');
const {createServer, Socket} = require('node:net');
const {join} = require('node:path');
const {load} = require('../../dist/start.js');
const native = require('../../dist/native.node');

const SOCK_STREAM = 1;
const timeoutMs = 5000;
const name = 'cluster-worker';
const dist = join(__dirname, '..', '..', 'dist');
const filename = join(dist, `${name}.js`);
const info = {server_id: name, version: '2.10.0', proto: 1, headers: true, max_payload: 2 ** 20};
const request = '{"jsonrpc":"2.0","method":"echo","params":[1,"a"],"id":1}\n';
const answer = '{"jsonrpc":"2.0","result":[1,"a"],"id":1}';

const script = load(filename);
const client = {exports: {}};
script.runInThisContext()(client.exports, createRequire(filename), client, filename, dist);
const {Connection, methodsOf} = client.exports;

/** As much of a server of NATS as a call needs; it answers the request itself. */
const server = createServer((socket) => {
	socket.write(`INFO ${JSON.stringify(info)}\r\n`);
	socket.on('data', (piece) => {
		const text = piece.toString();
		if (text.includes('PING\r\n')) socket.write('PONG\r\n');
		const [, reply] = /^HPUB \S+ (\S+) /m.exec(text) ?? [];
		if (reply) socket.write(`MSG ${reply} 1 ${answer.length}\r\n${answer}\r\n`);
	});
	socket.on('error', () => {});
});

async function callOnce() {
	const servers = [{scheme: 'nats', host: '127.0.0.1', port: server.address().port}];
	const methods = methodsOf(new Connection({servers, connectTimeoutMs: timeoutMs}, console.error));
	const [ours, theirs] = native.socketpair(SOCK_STREAM);
	await methods.callsConnect('server', theirs, true);
	const caller = new Socket({fd: ours});
	caller.write(request);
	await once(caller, 'data', {signal: AbortSignal.timeout(timeoutMs)});
	await methods.close();
}

function keep() {
	writeFileSync(join(dist, `${name}.cache`), script.createCachedData());
	process.exit(0);
}

// Without a network, or without an answer, the client is compiled less far.
server.on('error', keep);
server.listen(0, '127.0.0.1', () => callOnce().then(keep, keep));
