import {quoted, SystemError} from '../common/errors.js';
import {done} from '../common/exit.js';
import {json} from '../common/options.js';
import {print, printJson} from '../common/output.js';
import {describeBlindness} from '../common/process/proc.js';
import {formatFields} from '../common/terminal/table.js';
import {one, verb} from '../common/verb.js';
import {native} from '../native/index.js';
import {formatSocketAddress, localAddress} from '../objects/socket/socket-address.js';
import {lookAtSockets, type SocketStatus, type SocketUser} from '../objects/socket/socket-status.js';

const users = (list: readonly SocketUser[] | null, otherwise: string): string | string[] =>
	list === null
		? describeBlindness()
		: list.length === 0
			? otherwise
			: list.map(({pid, uid, command}) =>
					uid === null ? `${pid} ${command}` : `${pid} ${command} (${native.userName(uid) ?? uid})`,
				);

function describeSocket(status: SocketStatus): [string, string | string[]][] {
	const {state, connections, peers} = status;
	const isListening = state === 'listening';
	return [
		['path', status.path ?? 'none: an abstract name'],
		['type', status.type ?? 'unknown'],
		['state', state === 'stale' ? 'stale: the file exists, but no process uses it' : state],
		...(status.mode === null ? [] : ([['mode', status.mode]] as [string, string][])),
		...(status.owner === null ? [] : ([['owner', status.owner]] as [string, string][])),
		...(isListening ? ([['waiting', `${status.waiting} of ${status.backlog}`]] as [string, string][]) : []),
		['listener', users(status.listeners, state === 'stale' ? 'none' : 'not visible')],
		['connections', String(connections)],
		['peers', users(peers, connections > 0 ? 'not visible' : 'none')],
	];
}

export const stat = verb({
	summary: 'Show all details of one socket',
	operands: {address: one(localAddress)},
	options: {json},
	examples: [{purpose: 'print the connected processes', line: 'ipc-sock stat /run/docker.sock --json | jq .peers'}],
	run({address}, options) {
		const [status] = lookAtSockets([address]);
		if (!status)
			throw new SystemError(`cannot show ${quoted(formatSocketAddress(address))}: no such socket (see: ipc-sock list)`);
		if (options.json) printJson(status);
		else print(formatFields(describeSocket(status)));
		return done;
	},
});
