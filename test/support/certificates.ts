import assert from 'node:assert/strict';
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
