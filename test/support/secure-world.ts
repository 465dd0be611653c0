import assert from 'node:assert/strict';
import test, {type TestContext} from 'node:test';
import {needs} from './needs.js';
import type {Running} from './run.js';
import {freePort, SocketWorld} from './sockets.js';
import type {World} from './world.js';

/** In the scratch folder, for the host localhost: of ca, server and client; of other, stranger. */
export async function makeCertificates(world: World): Promise<void> {
	const made = await world.shell(
		`set -e
		key="ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
		for ca in ca other; do openssl req -x509 -newkey $key -keyout $ca.key -out $ca.pem -days 2 -subj /CN=$ca; done
		printf 'subjectAltName=DNS:localhost' > names
		for who in server client stranger; do
			openssl req -newkey $key -keyout $who.key -out $who.csr -subj /CN=$who
			ca=ca; [ $who = stranger ] && ca=other
			openssl x509 -req -in $who.csr -CA $ca.pem -CAkey $ca.key -CAcreateserial -days 2 -out $who.pem -extfile names
		done`,
		{cwd: world.scratch},
	);
	assert.equal(made.status, 0, made.stderr);
}

/** A world with certificates, an address for a server of ours, and the words that each side needs. */
export class SecureWorld extends SocketWorld {
	private constructor(
		t: TestContext,
		readonly port: number,
	) {
		super(t);
	}

	static async make(t: TestContext): Promise<SecureWorld> {
		const world = new SecureWorld(t, await freePort());
		await makeCertificates(world);
		return world;
	}

	get address(): string {
		return `tls:localhost:${this.port}`;
	}

	get own(): string {
		return `tls:127.0.0.1:${this.port}`;
	}

	get trust(): string[] {
		return ['--ca', this.file('ca.pem')];
	}

	identity(who = 'server'): string[] {
		return ['--cert', this.file(`${who}.pem`), '--key', this.file(`${who}.key`)];
	}

	/** A server of OpenSSL that answers each line with its letters in reverse. */
	reversing(...words: string[]): Promise<Running> {
		const {file} = this;
		return this.startOther('openssl', [
			...['s_server', '-rev', '-accept', `127.0.0.1:${this.port}`],
			...['-cert', file.call(this, 'server.pem'), '-key', file.call(this, 'server.key'), ...words],
		]).printed('ACCEPT');
	}
}

export const secure = (title: string, program: string, body: (world: SecureWorld) => Promise<void>) =>
	test(title, needs('openssl', program), async (t) => body(await SecureWorld.make(t)));
