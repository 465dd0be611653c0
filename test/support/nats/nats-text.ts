import {once} from 'node:events';
import {connect, type Socket} from 'node:net';
import type {TestContext} from 'node:test';

export interface TextMessage {
	subject: string;
	reply: string;
	/** Its headers, as they were sent. */
	head: string;
	text: string;
}

/**
 * A witness that shares nothing with our commands: it speaks the text protocol of NATS.
 * https://docs.nats.io/reference/reference-protocols/nats-protocol
 */
export class NatsText {
	private heard = Buffer.alloc(0);
	private readonly messages: TextMessage[] = [];
	private pongs = 0;
	private lastInbox = 0;
	private lastSubscription = 0;

	private constructor(private readonly socket: Socket) {
		socket.on('data', (piece: Buffer) => {
			this.heard = Buffer.concat([this.heard, piece]);
			while (this.takeOne());
			socket.emit('heard');
		});
		socket.on('error', () => {});
		socket.write('CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n');
	}

	static async connect(t: TestContext, place: string): Promise<NatsText> {
		const [host, port] = place.split(':') as [string, string];
		const socket = connect(Number(port), host);
		await once(socket, 'connect');
		t.after(() => socket.destroy());
		return new NatsText(socket);
	}

	private takeOne(): boolean {
		const end = this.heard.indexOf('\r\n');
		if (end < 0) return false;
		const [word = '', ...fields] = this.heard.toString('latin1', 0, end).split(' ');
		let after = end + 2;
		if (word === 'MSG' || word === 'HMSG') {
			const length = Number(fields.pop());
			const headLength = word === 'HMSG' ? Number(fields.pop()) : 0;
			if (this.heard.length < after + length + 2) return false;
			const [subject = '', , reply = ''] = fields;
			const head = this.heard.toString('latin1', after, after + headLength);
			const text = this.heard.toString('utf8', after + headLength, after + length);
			this.messages.push({subject, reply, head, text});
			after += length + 2;
		} else if (word === 'PING') this.socket.write('PONG\r\n');
		else if (word === 'PONG') this.pongs++;
		this.heard = this.heard.subarray(after);
		return true;
	}

	/** Until the server has carried out all that was asked of it. */
	async flush(): Promise<void> {
		const before = this.pongs;
		this.socket.write('PING\r\n');
		while (this.pongs === before) await once(this.socket, 'heard');
	}

	async subscribe(subject: string): Promise<void> {
		this.socket.write(`SUB ${subject} ${++this.lastSubscription}\r\n`);
		await this.flush();
	}

	publish(subject: string, text: string, reply = ''): void {
		this.socket.write(`PUB ${subject} ${reply} ${Buffer.byteLength(text)}\r\n${text}\r\n`);
	}

	/** With headers, each a line. */
	publishWith(headers: readonly string[], subject: string, text: string): void {
		const head = `NATS/1.0\r\n${headers.map((header) => `${header}\r\n`).join('')}\r\n`;
		const length = Buffer.byteLength(head);
		this.socket.write(`HPUB ${subject} ${length} ${length + Buffer.byteLength(text)}\r\n${head}${text}\r\n`);
	}

	/** The next message of all subscriptions. */
	async message(): Promise<TextMessage> {
		while (this.messages.length === 0) await once(this.socket, 'heard');
		return this.messages.shift() as TextMessage;
	}

	/** Sends a request and returns the first answer; one without a text says by its head that nobody is there. */
	async request(subject: string, text: string): Promise<TextMessage> {
		const inbox = `_INBOX.witness.${process.pid}.${++this.lastInbox}`;
		await this.subscribe(inbox);
		this.publish(subject, text, inbox);
		return this.message();
	}
}
