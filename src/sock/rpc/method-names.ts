import {Deadline} from '../../common/deadline.js';
import {LocalSocket} from '../../objects/socket/local-socket.js';
import {isLocal, parseSocketAddress} from '../../objects/socket/socket-address.js';
import {CallChannel} from './call-channel.js';
import {dialects} from './dialect.js';
import {jsonText} from './json-rpc.js';
import {usualLimits} from './json-splitter.js';
import {kindOf, membersOf} from './json-text.js';
import {encodeMessage} from './message-framing.js';

/** For a person who waits with a finger on the key. */
const timeoutMs = 300;
const mostBytes = 1024 ** 2;

/** The methods of a server on this machine, for completion: none where it does not name them soon. */
export function methodNames(name: string): string[] {
	const address = parseSocketAddress(name);
	if (!isLocal(address)) return [];
	const deadline = new Deadline(timeoutMs);
	const {format, read, listing} = dialects.jsonRpc;
	using socket = LocalSocket.connect(address, {timeoutMs});
	const channel = new CallChannel(socket, {...usualLimits, mostBytes}, false);
	channel.send(encodeMessage(format({id: '1', method: listing.method, params: undefined}), 'lines'));
	for (let bytes = channel.receive(deadline); bytes; bytes = channel.receive(deadline)) {
		const text = jsonText(bytes);
		const response = text !== undefined && kindOf(text) === 'object' ? read(membersOf(text)) : undefined;
		if (response) return 'result' in response.outcome ? (listing.names(response.outcome.result) ?? []) : [];
	}
	return [];
}
