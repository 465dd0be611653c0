// rpc-client.cjs PATH : each line of stdin as a request, the next one when it has been answered; answers to stdout. With node:net.
'use strict';
const {connect} = require('node:net');
const {createInterface} = require('node:readline');

const lines = createInterface({input: process.stdin})[Symbol.asyncIterator]();
const socket = connect(process.argv[2]);
socket.setEncoding('utf8');

async function ask() {
	const {value, done} = await lines.next();
	if (done) socket.end();
	else socket.write(`${value}\n`);
}

let held = '';
socket.on('data', (piece) => {
	held += piece;
	if (!held.endsWith('\n')) return;
	process.stdout.write(held);
	held = '';
	ask();
});
ask();
