import {StorageType} from '@nats-io/jetstream';
import {Kvm} from '@nats-io/kv';
import {Objm} from '@nats-io/obj';
import {headers, nuid} from '@nats-io/transport-node';
import {
	bucket,
	type Change,
	type Changed,
	type Contents,
	headerBytes,
	mostBytes,
	objectHeader,
	objectStream,
	type Pointer,
	stream,
	subjectOf,
} from '../../segment/format.js';
import {type Connection, requestTimeoutMs, sleep} from '../connection.js';
import {refusalOf, refuse} from '../errors.js';
import {storeOn} from '../replicas.js';

/** Others change it at the same moment: a moment of another length for each. */
const longestPauseMs = 10;

/** What a key has. */
export interface Entry {
	/** 0 for a key that has never been there. */
	revision: number;
	/** Undefined where the segment does not exist. */
	value: {bytes: Uint8Array} | {pointer: Pointer} | undefined;
	changed: Date;
}

export const sizeOf = (value: NonNullable<Entry['value']>): number =>
	'bytes' in value ? value.bytes.length : value.pointer.size;

const mostLooks = 20;
const lookAgainMs = 250;

/** Segments as keys of a bucket, changed by compare-and-set on the revision. */
export class SegmentStore {
	constructor(private readonly connection: Connection) {}

	/** Makes the bucket where it is missing; stores it on more servers where that is wanted, never on fewer. */
	async prepare(replicas = 1): Promise<void> {
		if ((await this.replicasOf(stream)) === undefined) {
			const settings = {history: 1, storage: StorageType.File, replicas};
			await new Kvm(await this.connection.jetStream()).create(bucket, settings);
		}
		if (replicas === 1) return;
		for (const name of [stream, objectStream]) {
			const found = await this.replicasOf(name);
			if (found !== undefined && found < replicas) await storeOn(this.connection, name, replicas);
		}
	}

	/** Undefined where there is no such stream. */
	private async replicasOf(name: string): Promise<number | undefined> {
		const {streams} = await this.connection.streams();
		try {
			return (await this.connection.retry(() => streams.info(name))).config.num_replicas;
		} catch (error) {
			if (refusalOf(error)?.reason === 'no-such') return undefined;
			throw error;
		}
	}

	/** @throws Refused `damaged` where another program has written what leads to no contents, unless `any` is accepted. */
	async entry(name: string, accepts: 'any' | 'segment' = 'segment'): Promise<Entry> {
		const {streams} = await this.connection.streams();
		const message = await this.connection
			.retry(() => streams.getMessage(stream, {last_by_subj: subjectOf(name)}))
			.catch((error) => {
				// Without a bucket there are no segments.
				if (refusalOf(error)?.reason === 'no-such') return null;
				throw error;
			});
		if (!message) return {revision: 0, value: undefined, changed: new Date(0)};
		const {seq: revision, time: changed, header, data} = message;
		if (header.get('KV-Operation') !== '') return {revision, value: undefined, changed};
		if (header.get(objectHeader) === '') return {revision, value: {bytes: data}, changed};
		const pointer = pointerIn(data);
		if (pointer) return {revision, value: {pointer}, changed};
		if (accepts === 'any') return {revision, value: {bytes: data}, changed};
		return refuse(
			'damaged',
			`the entry '${name}' of the bucket does not say where the contents are (delete it with: ipc-shm remove)`,
		);
	}

	async read(name: string): Promise<Contents> {
		for (let looks = 1; ; looks++) {
			const {revision, value} = await this.entry(name);
			if (!value) return refuse('no-such', 'it does not exist');
			if ('bytes' in value) return {bytes: value.bytes, revision};
			const bytes = await this.connection.retry(() => this.contentsOf(value.pointer));
			if (bytes) return {bytes, revision};
			// Another process has replaced it meanwhile, and deleted the object.
			if ((await this.entry(name)).revision !== revision) continue;
			// A server that has not copied everything yet may answer for the others.
			if (looks > mostLooks || ((await this.replicasOf(objectStream)) ?? 1) === 1)
				return refuse('damaged', `its contents are missing in the object store (${value.pointer.object})`);
			await sleep(lookAgainMs, this.connection.closing.signal);
		}
	}

	/** Null where they are not, or not whole. */
	private async contentsOf({object}: Pointer): Promise<Uint8Array | null> {
		try {
			return await (await this.objects()).getBlob(object);
		} catch (error) {
			const reason = refusalOf(error)?.reason;
			if (reason !== undefined && reason !== 'no-such') throw error;
			return null;
		}
	}

	async create(name: string, bytes: Uint8Array, replicas: number | undefined): Promise<boolean> {
		await this.prepare(replicas);
		for (;;) {
			const {revision, value} = await this.entry(name);
			if (value) return false;
			if (await this.put(name, bytes, {revision, value})) return true;
		}
	}

	/** Reads, changes, and stores if it is still of the same revision; otherwise again. */
	async change(name: string, change: Change): Promise<Changed> {
		for (;;) {
			const before = await this.entry(name);
			const {bytes, revision} =
				before.value && 'bytes' in before.value ? {...before.value, ...before} : await this.read(name);
			const {after, ...changed} = changedBy(bytes, change);
			if (!after) return changed;
			const entry = revision === before.revision ? before : await this.entry(name);
			if (entry.revision === revision && (await this.put(name, after, entry))) return changed;
			await sleep(Math.random() * longestPauseMs, this.connection.closing.signal);
			if (this.connection.closing.signal.aborted) return refuse('closed', 'the connection has been closed');
		}
	}

	async replace(name: string, bytes: Uint8Array, revision: number): Promise<boolean> {
		const entry = await this.entry(name);
		if (!entry.value) return refuse('no-such', 'it does not exist');
		return entry.revision === revision && this.put(name, bytes, entry);
	}

	async remove(name: string): Promise<void> {
		for (;;) {
			const entry = await this.entry(name, 'any');
			if (!entry.value) return refuse('no-such', 'it does not exist');
			const head = headers();
			head.set('KV-Operation', 'PURGE');
			head.set('Nats-Rollup', 'sub');
			if (await this.publish(name, new Uint8Array(0), head, entry.revision)) {
				await this.deleteObjectOf(entry.value);
				return;
			}
		}
	}

	/** Stores all bytes if the key is still of that revision. What belonged to that one is deleted then. */
	private async put(name: string, bytes: Uint8Array, before: Pick<Entry, 'revision' | 'value'>): Promise<boolean> {
		if (bytes.length > mostBytes)
			refuse('too-large', `it would have ${bytes.length} bytes, and on a cluster the maximum is ${mostBytes}`);
		const {info} = await this.connection.client();
		const largest = (info?.max_payload ?? 1024 ** 2) - headerBytes;
		const head = headers();
		if (bytes.length <= largest) {
			if (!(await this.publish(name, bytes, head, before.revision))) return false;
		} else {
			const objects = await this.objects();
			const object = `${name}.${nuid.next()}`;
			const {digest} = await objects.putBlob({name: object}, bytes);
			const pointer: Pointer = {object, digest, size: bytes.length};
			head.set(objectHeader, object);
			const text = new TextEncoder().encode(JSON.stringify(pointer));
			if (!(await this.publish(name, text, head, before.revision))) {
				await this.deleteObjectOf({pointer});
				return false;
			}
		}
		await this.deleteObjectOf(before.value);
		return true;
	}

	/** False where the key is of another revision. Sent again after a loss: the server knows it by its id. */
	private async publish(
		name: string,
		bytes: Uint8Array,
		head: ReturnType<typeof headers>,
		revision: number,
	): Promise<boolean> {
		const jetStream = await this.connection.jetStream();
		const msgID = nuid.next();
		try {
			await this.connection.retry(() =>
				jetStream.publish(subjectOf(name), bytes, {
					headers: head,
					msgID,
					timeout: requestTimeoutMs,
					expect: {lastSubjectSequence: revision},
				}),
			);
			return true;
		} catch (error) {
			if (refusalOf(error)?.reason === 'changed') return false;
			throw error;
		}
	}

	private async objects() {
		// As many as the bucket has.
		const replicas = (await this.replicasOf(stream)) ?? 1;
		return new Objm(await this.connection.jetStream()).create(bucket, {storage: StorageType.File, replicas});
	}

	/** The object store keeps a note of each object that was deleted; that goes as well. */
	private async deleteObjectOf(value: Entry['value']): Promise<void> {
		if (!value || !('pointer' in value)) return;
		const {object} = value.pointer;
		await (await this.objects()).delete(object).catch(() => undefined);
		const {streams} = await this.connection.streams();
		const encoded = Buffer.from(object).toString('base64url');
		await streams.purge(objectStream, {filter: `$O.${bucket}.M.${encoded}`}).catch(() => undefined);
	}
}

/** Undefined for what another program has written. */
function pointerIn(data: Uint8Array): Pointer | undefined {
	try {
		const pointer = JSON.parse(new TextDecoder().decode(data)) as Pointer;
		const {object, digest, size} = pointer;
		const isOne = typeof object === 'string' && typeof digest === 'string' && Number.isSafeInteger(size) && size >= 0;
		return isOne ? pointer : undefined;
	} catch {
		return undefined;
	}
}

/** What a change makes of these bytes; without `after` nothing is to be stored. */
function changedBy(bytes: Uint8Array, change: Change): Changed & {after?: Uint8Array} {
	const {offset} = change;
	const end = offset + (change.kind === 'bytes' ? change.bytes.length : change.width);
	const before = bytes.slice(offset, Math.min(end, bytes.length));
	const grows = change.kind === 'bytes' && change.grow;
	if (end > bytes.length && !grows) return {before, size: bytes.length, isBeyond: true};
	if (change.kind === 'bytes') {
		const after = new Uint8Array(Math.max(bytes.length, end));
		after.set(bytes);
		after.set(change.bytes, offset);
		return {before, size: after.length, isBeyond: false, after};
	}
	const {width} = change;
	const found = readWord(bytes, offset, width);
	const size = bytes.length;
	if (change.kind === 'compare' && found !== BigInt.asUintN(8 * width, change.expected))
		return {before, size, isBeyond: false};
	const after = new Uint8Array(bytes);
	writeWord(after, offset, width, change.kind === 'add' ? found + change.value : change.value);
	return {before, size, isBeyond: false, after};
}

function readWord(bytes: Uint8Array, offset: number, width: 4 | 8): bigint {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	return width === 4 ? BigInt(view.getUint32(offset, true)) : view.getBigUint64(offset, true);
}

function writeWord(bytes: Uint8Array, offset: number, width: 4 | 8, value: bigint): void {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	if (width === 4) view.setUint32(offset, Number(BigInt.asUintN(32, value)), true);
	else view.setBigUint64(offset, BigInt.asUintN(64, value), true);
}
