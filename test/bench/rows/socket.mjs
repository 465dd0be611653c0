// A stream of bytes through a local socket: one side listens, with the producer behind it, the other connects.

const rounds = {full: 7, quick: 3};
const gibibyte = 1024 ** 3;

/** GiB/s between two ends, once everything has started: see fifo.mjs. */
const rate = (ends, gibibytes, sides) => async (workshop) => {
	const bytes = workshop.gibibytes(gibibytes);
	const {producer, consumer, prints} = ends(workshop, bytes);
	const {sender, receiver} = sides(workshop, `${workshop.folder}/stream.sock`);
	const {elapsedMs} = await workshop.pipeline([...producer, '|', ...sender, '@', ...receiver, '|', ...consumer], {
		prints,
	});
	return bytes / gibibyte / (elapsedMs / 1000);
};

/** Whoever connects has to come second. */
const onceThere = (path, line) => ['sh', '-c', `until [ -S ${path} ]; do sleep 0.01; done; exec ${line}`];

const ipcSock = (workshop, path) => {
	const command = workshop.command('ipc-sock');
	return {
		sender: [command, 'listen', path],
		receiver: ['sh', '-c', `${command} wait ${path} && exec ${command} connect ${path}`],
	};
};
const socat = (_, path) => ({
	sender: ['socat', '-u', 'STDIN', `UNIX-LISTEN:${path},unlink-early`],
	receiver: onceThere(path, `socat -u UNIX-CONNECT:${path},retry=100,interval=0.01 STDOUT`),
});
const nc = (_, path) => ({
	sender: ['sh', '-c', `rm -f ${path}; exec nc -N -lU ${path}`],
	receiver: onceThere(path, `nc -d -U ${path}`),
});
const ncat = (_, path) => ({
	sender: ['sh', '-c', `rm -f ${path}; exec ncat --send-only -lU ${path}`],
	receiver: onceThere(path, `ncat --recv-only -U ${path}`),
});
const c = (how) => (workshop, path) => ({
	sender: [workshop.program('socket'), 'send', path, how],
	receiver: [workshop.program('socket'), 'recv', path, how],
});

const spliceable = (workshop, bytes) => ({
	producer: [workshop.program('produce'), bytes],
	consumer: [workshop.program('consume')],
	prints: bytes,
});
const intoWc = (_, bytes) => ({
	producer: ['head', '-c', bytes, '/dev/zero'],
	consumer: ['wc', '-c'],
	prints: bytes,
});

const shared = {unit: 'GiB/s', better: 'more', rounds};
const ours = 'ipc-sock listen, connect';

export const socket = [
	{
		...shared,
		id: 'socket-splice',
		title: 'stream through a local socket, ends that splice (vmsplice in, splice to /dev/null)',
		ours: {name: ours, measure: rate(spliceable, 16, ipcSock)},
		peers: [
			{name: 'socat -u', needs: 'socat', measure: rate(spliceable, 2, socat), must: 8},
			{name: 'nc -N', needs: 'nc', measure: rate(spliceable, 2, nc), must: 8},
			{name: 'ncat', needs: 'ncat', measure: rate(spliceable, 1, ncat), must: 8},
			{name: 'C: splice, 4 MiB buffer', measure: rate(spliceable, 16, c('splice')), aim: 0.9},
		],
	},
	{
		...shared,
		id: 'socket-wc',
		title: 'stream through a local socket between ordinary tools (head into wc -c)',
		ours: {name: ours, measure: rate(intoWc, 2, ipcSock)},
		peers: [
			{name: 'socat -u', needs: 'socat', measure: rate(intoWc, 2, socat), must: 1.5},
			{name: 'nc -N', needs: 'nc', measure: rate(intoWc, 2, nc), must: 1.5},
			{name: 'ncat', needs: 'ncat', measure: rate(intoWc, 1, ncat), must: 1.5},
			{name: 'C: splice, 4 MiB buffer, pause', measure: rate(intoWc, 2, c('splice')), aim: 0.95},
			{name: 'C: read and write of 1 MiB', measure: rate(intoWc, 2, c('copy')), aim: 0.95},
		],
	},
];
