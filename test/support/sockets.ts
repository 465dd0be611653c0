import {randomInt} from 'node:crypto';
import {once} from 'node:events';
import {existsSync, statSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {randomBytes} from './random.js';
import {type Ended, peer, type Running, type RunSettings} from './run.js';
import {World} from './world.js';

/** A world with sockets, and strangers at their other ends. */
export class SocketWorld extends World {
	sock(...words: string[]): Promise<Ended> {
		return this.run('ipc-sock', words);
	}

	/** Starts a verb that says when it is ready. */
	async ready(words: readonly string[], settings: RunSettings = {}): Promise<Running> {
		const [verb, ...rest] = words;
		return this.start('ipc-sock', [verb as string, '--ready-fd', '3', ...rest], settings).ready();
	}

	/** The peer in C, once it has said "ready". */
	async stranger(...words: string[]): Promise<Running> {
		return this.startOther(peer('sock-peer'), words).printed('ready\n');
	}

	isSocket(path: string): boolean {
		return existsSync(path) && statSync(path).isSocket();
	}

	/** A file of random bytes. */
	random(name: string, bytes: number): Buffer {
		const data = randomBytes(bytes);
		writeFileSync(this.file(name), data);
		return data;
	}
}

/**
 * A TCP port of 127.0.0.1 that no process uses. It is below the range from which the kernel chooses ports for others
 * (net.ipv4.ip_local_port_range), so that no connection gets it before the test does.
 */
export async function freePort(): Promise<number> {
	for (;;) {
		const port = randomInt(20_000, 32_000);
		const server = createServer();
		try {
			await once(server.listen(port, '127.0.0.1'), 'listening');
		} catch {
			continue;
		}
		server.close();
		await once(server, 'close');
		return port;
	}
}
