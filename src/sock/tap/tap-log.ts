import {printable} from '../../common/errors.js';
import {jsonRecord} from '../../common/framing/framing.js';
import {print} from '../../common/output.js';
import type {PeerCredentials} from '../../objects/socket/local-socket.js';
import {describePeer} from '../../objects/socket/peer.js';

/** The output of a tap: one line per piece, or JSON. */
export class TapLog {
	constructor(private readonly isJson: boolean) {}

	opened(connection: number, peer: PeerCredentials): void {
		if (this.isJson) this.event(connection, {event: 'open', ...peer});
		else this.line(connection, `opened by ${describePeer(peer)}`);
	}

	piece(connection: number, from: 'client' | 'server', bytes: Uint8Array): void {
		if (this.isJson) {
			this.event(connection, {event: 'data', from, ...jsonRecord(bytes)});
			return;
		}
		const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
		const arrow = from === 'client' ? '>' : '<';
		for (const line of text.replace(/\n$/, '').split('\n')) this.line(connection, `${arrow} ${printable(line)}`);
	}

	ended(connection: number, from: 'client' | 'server'): void {
		if (this.isJson) this.event(connection, {event: 'end', from});
		else this.line(connection, `${from === 'client' ? '>' : '<'} end`);
	}

	closed(connection: number): void {
		if (this.isJson) this.event(connection, {event: 'close'});
		else this.line(connection, 'closed');
	}

	private event(connection: number, fields: Record<string, unknown>): void {
		print(`${JSON.stringify({time: new Date().toISOString(), connection, ...fields})}\n`);
	}

	private line(connection: number, text: string): void {
		const now = new Date();
		const pad = (number: number, width = 2) => String(number).padStart(width, '0');
		const time = `${pad(now.getHours())}:${pad(now.getMinutes())}:${pad(now.getSeconds())}.${pad(now.getMilliseconds(), 3)}`;
		print(`${time} #${connection} ${text}\n`);
	}
}
