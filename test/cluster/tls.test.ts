import test from 'node:test';
import {NatsServer, NatsWorld} from '../support/nats/nats-world.js';
import {needs} from '../support/needs.js';
import {makeCertificates} from '../support/secure-world.js';
import {assertDone, assertFails} from '../support/world.js';

test(
	'a server with TLS that wants a certificate: ours, and one line for each that does not fit',
	needs('nats-server', 'openssl'),
	async (t) => {
		const files = new NatsWorld(t, {place: ''});
		await makeCertificates(files);
		const file = (name: string) => files.file(name);
		const server = await new NatsServer([
			...['-js', '--tlsverify', '--tlscert', file('server.pem'), '--tlskey', file('server.key')],
			...['--tlscacert', file('ca.pem')],
		]).start();
		t.after(() => server.end());
		const port = server.place.split(':')[1] as string;
		const at = `tls://localhost:${port}/jobs`;
		const mq = (verb: string, address: string, ...words: string[]) => files.run('ipc-mq', [verb, address, ...words]);
		const ca = ['--tls-ca', file('ca.pem')];
		const who = (name: string) => ['--tls-cert', file(`${name}.pem`), '--tls-key', file(`${name}.key`)];
		assertDone(await mq('create', at, ...ca, ...who('client')), '');
		assertDone(await mq('send', at, 'secret', ...ca, ...who('client')), '');
		// The variables, and nats:// with a file that only TLS needs.
		const env = {
			...{NATS_URL: `localhost:${port}`, NATS_CA: file('ca.pem')},
			...{NATS_CERT: file('client.pem'), NATS_KEY: file('client.key')},
		};
		assertDone(await files.run('ipc-mq', ['recv', 'nats:jobs', '--all'], {env}), 'secret\n');

		const refuses = async (why: string, words: readonly string[], address = at, settings = {}) =>
			assertFails(
				await files.run('ipc-mq', ['recv', address, '-n', ...words], settings),
				1,
				new RegExp(`^ipc-mq: cannot open '${address}': [^\\n]*${why}[^\\n]*\\n$`),
			);
		const unknown = 'unable to|self-signed|unknown authority';
		await refuses(unknown, who('client'));
		await refuses(unknown, ['--tls-ca', file('other.pem'), ...who('client')]);
		await refuses(unknown, who('client'), at, {env: {NODE_TLS_REJECT_UNAUTHORIZED: '0'}});
		await refuses('does not match|altnames', [...ca, ...who('client')], `tls://127.0.0.1:${port}/jobs`);
		await refuses('no answer in time \\(waited [0-9.]+s\\), or it does not accept our certificate \\(--tls-cert\\)', [
			...ca,
			'-t',
			'1s',
		]);
		assertFails(
			await mq('recv', at, '--tls-ca', file('none')),
			1,
			`ipc-mq: cannot read the certificates in '${file('none')}': no such file or folder\n`,
		);
	},
);
