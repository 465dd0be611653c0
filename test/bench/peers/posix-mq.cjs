// posix-mq.cjs send NAME | recv NAME COUNT: as queue.c, by posix-mq and its events.
const {createInterface} = require('node:readline');
// A package of its own, since it takes node-gyp to build.
const PosixMQ = require('../../peers/posix-mq/node_modules/posix-mq');

const [verb, name, count] = process.argv.slice(2);
const queue = new PosixMQ();
queue.open({name});
if (verb === 'send') send();
else receive(Number(count));

async function send() {
	for await (const line of createInterface({input: process.stdin}))
		while (!queue.push(Buffer.from(line))) await new Promise((resolve) => queue.once('drain', resolve));
	queue.close();
}

function receive(left) {
	const buffer = Buffer.alloc(queue.msgsize);
	const take = () => {
		const lines = [];
		for (let length = queue.shift(buffer); length !== false; length = queue.shift(buffer)) {
			lines.push(buffer.toString('latin1', 0, length), '\n');
			if (--left === 0) break;
		}
		if (lines.length > 0) process.stdout.write(lines.join(''), 'latin1');
		if (left === 0) queue.close();
	};
	take();
	if (left > 0) queue.on('messages', take);
}
