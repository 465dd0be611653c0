// Lines as messages, from stdin to stdout through a message queue: two system calls a line is what there is to do.
import {execFileSync} from 'node:child_process';
import {ends, posixIpc, posixMq, queuePipeline} from './through-queue.mjs';

const lineCount = 1_000_000;
const checkedCount = 20_000;
/** The slowest that gets through needs a third of it. */
const stallMs = 10_000;
let expected;

/** Millions of messages a second, once everything has started. The first time, what came is compared as well. */
const rate = (pair, {count: most = lineCount, timeoutMs, before} = {}) => {
	let isChecked = false;
	return async (workshop) => {
		const count = workshop.quick ? most / 5 : most;
		if (!isChecked) {
			await queuePipeline(workshop, checkedCount, pair, {last: ['cksum'], prints: expected, timeoutMs, before});
			isChecked = true;
		}
		const {elapsedMs} = await queuePipeline(workshop, count, pair, {timeoutMs, before});
		return count / 1e6 / (elapsedMs / 1000);
	};
};

/** Whoever tries again and again before it sleeps keeps the other side from its work here. */
const onOneCore = {count: 100_000, before: ['taskset', '--cpu-list', '0']};

function prepare(workshop) {
	const input = execFileSync(workshop.program('lines'), [String(checkedCount)], {maxBuffer: 2 ** 24});
	expected = execFileSync('cksum', {input, encoding: 'utf8'}).trim();
}

export const queue = [
	{
		id: 'queue',
		title: '1 M lines of 60 bytes (--quick: 200 k) through a message queue that holds ten',
		unit: 'M/s',
		better: 'more',
		rounds: {full: 9, quick: 3},
		prepare,
		ours: {name: 'ipc-mq send, recv', measure: rate(ends.ours)},
		peers: [
			{name: 'C: calls that block', measure: rate(ends.plainC), must: 0.8},
			{name: 'C: 100 tries before poll', measure: rate(ends.retryingC), aim: 0.95},
			{name: 'python3, posix_ipc', needs: posixIpc, measure: rate(ends.posixIpc), must: 1.3},
			{name: 'node, posix-mq', needs: posixMq, measure: rate(ends.posixMq, {timeoutMs: stallMs}), mayStall: true},
		],
	},
	{
		id: 'queue-one-core',
		title: '100 k such lines (--quick: 20 k), sender and receiver on one core',
		unit: 'M/s',
		better: 'more',
		rounds: {full: 9, quick: 2},
		prepare,
		ours: {name: 'ipc-mq send, recv', needs: 'taskset', measure: rate(ends.ours, onOneCore)},
		// No budgets.
		peers: [
			{name: 'C: calls that block', needs: 'taskset', measure: rate(ends.plainC, onOneCore)},
			{name: 'C: 100 tries before poll', needs: 'taskset', measure: rate(ends.retryingC, onOneCore)},
		],
	},
];
