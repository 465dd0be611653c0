import {quoted} from '../common/errors.js';
import {done, failed} from '../common/exit.js';
import {forEachName} from '../common/for-each-name.js';
import {tell} from '../common/output.js';
import {many, verb} from '../common/verb.js';
import {LocalSocket} from '../objects/socket/local-socket.js';
import {formatSocketAddress, localAddress} from '../objects/socket/socket-address.js';
import {putBackIfLeft} from './tap/tapped-socket.js';

export const remove = verb({
	summary: 'Remove stale socket files',
	aliases: ['rm'],
	operands: {addresses: many(localAddress)},
	options: {force: {help: 'also remove a socket in use; new clients can no longer connect'}},
	examples: [
		{purpose: 'remove a socket file that a crashed daemon left', line: 'ipc-sock remove /run/daemon.sock'},
		{
			purpose: 'remove all stale files in the runtime folder',
			line: `ipc-sock rm $(ipc-sock ls --json | jq -r 'select(.state=="stale").name')`,
		},
	],
	run({addresses}, {force}) {
		const allWell = forEachName(addresses, (address) => {
			if (!force && address.kind !== 'abstract' && putBackIfLeft(address))
				tell(`restored the live socket ${quoted(formatSocketAddress(address))}: a tap that was killed had replaced it`);
			else LocalSocket.remove(address, {force});
		});
		return allWell ? done : failed;
	},
});
