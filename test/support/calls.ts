import {once} from 'node:events';
import {mkdirSync, writeFileSync} from 'node:fs';
import {connect, type Socket} from 'node:net';
import {join} from 'node:path';
import {type Ended, type Running, type RunSettings, root} from './run.js';
import {World} from './world.js';

/** A world with methods that can be called, and servers of other makes. */
export class CallWorld extends World {
	/** Makes a method: a shell script in a folder of methods. */
	method(name: string, ...lines: string[]): void {
		this.script(`methods/${name}`, '#!/bin/sh', ...lines);
	}

	script(name: string, ...lines: string[]): string {
		const path = this.file(name);
		mkdirSync(join(path, '..'), {recursive: true});
		writeFileSync(path, `${lines.join('\n')}\n`, {mode: 0o755});
		return path;
	}

	/** `ipc-sock serve`, once it can be called. */
	serve(address: string, words: readonly string[], settings: RunSettings = {}): Promise<Running> {
		return this.serving('serve', address, words, settings);
	}

	/** Any verb that serves clients, once they can connect. */
	async serving(
		verb: 'serve' | 'listen',
		address: string,
		words: readonly string[],
		settings: RunSettings = {},
	): Promise<Running> {
		const server = this.start('ipc-sock', [verb, address, '--ready-fd', '3', ...words], {
			cwd: this.scratch,
			...settings,
		});
		this.servers.push(server);
		return server.ready();
	}

	/** The same, with what {@link method} made, as `calc`. */
	serveMethods(...words: string[]): Promise<Running> {
		return this.serve('calc', ['--methods', 'methods', ...words]);
	}

	call(...words: string[]): Promise<Ended> {
		return this.run('ipc-sock', ['call', ...words]);
	}

	/** A server in Python, as it may be met in the wild; answers its address. */
	async stranger(kind: string): Promise<string> {
		const path = this.file(`${kind}.sock`);
		const server = this.startOther('python3', [join(root, 'test', 'peers', 'rpc-server.py'), kind, path]);
		await server.printed('\n');
		return path;
	}

	/** A connection of a client that says just what it wants. */
	async client(name: string): Promise<Client> {
		const client = new Client(connect(this.path(name)));
		await once(client.socket, 'connect');
		return client;
	}
}

export class Client {
	private heard = '';
	/** Once the other side has ended. */
	readonly ended: Promise<unknown>;

	constructor(readonly socket: Socket) {
		socket.on('data', (piece) => {
			this.heard += piece.toString();
			socket.emit('heard');
		});
		socket.on('error', () => {});
		this.ended = once(socket, 'end').catch(() => {});
	}

	say(text: string | Buffer): this {
		this.socket.write(text);
		return this;
	}

	/** What has come, once that many bytes have, or the other side has ended. */
	async hear(least = 1): Promise<string> {
		while (this.heard.length < least && !this.socket.readableEnded)
			await Promise.race([once(this.socket, 'heard'), this.ended]);
		const all = this.heard;
		this.heard = '';
		return all;
	}

	/** The next line. */
	async line(): Promise<string> {
		while (!this.heard.includes('\n') && !this.socket.readableEnded)
			await Promise.race([once(this.socket, 'heard'), this.ended]);
		const end = this.heard.indexOf('\n') + 1;
		const line = this.heard.slice(0, end);
		this.heard = this.heard.slice(end);
		return line;
	}

	/** All that comes until the other side ends, having said that no more will come from here. */
	async rest(): Promise<string> {
		this.socket.end();
		await this.ended;
		return this.hear(0);
	}

	/** Leaves at once. */
	leave(): void {
		this.socket.destroy();
	}
}

/** A call as a line. */
export const request = (method: string, params?: unknown, id?: number | string): string =>
	`${JSON.stringify({jsonrpc: '2.0', method, params, id})}\n`;

/** The error in the line of an answer. */
export const errorOf = (line: string) => JSON.parse(line).error;
export const parseError = '{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null}';
export const invalid = '{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request"},"id":null}';
/** An answer with a result. */
export const result = (id: number | string, value: string) => `{"jsonrpc":"2.0","result":${value},"id":${id}}`;

/** A duration that occurs in no other test's `sleep`. */
let sleeps = 0;
export const longSleep = () => `${1000 + sleeps++}.${process.pid}`;
