import {quoted, SystemError} from '../../common/errors.js';
import type {ClusterAddress} from '../../common/formats/cluster-address.js';
import type {SemaphoreSettings} from '../../objects/semaphore/semaphore.js';
import type {SemaphoreStatus} from '../../objects/semaphore/semaphore-status.js';
import {clusterSemaphores} from '../../objects/semaphore/semaphores.js';
import {closeChannel, openChannel, withChannel} from '../channel.js';
import {onCluster, openAt, tryOpenAt} from '../opening.js';
import {attemptOnCluster, Refusal} from '../refusal.js';
import type {SemaphoreMethods} from '../worker/semaphore/semaphore.js';
import {ClusterSemaphore, holderOf, requestOf} from './cluster-semaphore.js';
import {type ClusterSemaphoreStatus, defaultLeaseMs} from './format.js';

/** Semaphores on a cluster: what src/objects/semaphore asks for by `clusterSemaphores`. */

function make(address: ClusterAddress, {value = 1, mode, replicas}: SemaphoreSettings): boolean {
	const tried = `cannot create ${quoted(address.shown)}`;
	if (mode !== undefined)
		throw new SystemError(`${tried}: a semaphore on a cluster has no mode; its server says who may use it`);
	return withChannel(address, (channel) =>
		attemptOnCluster(tried, () =>
			channel.call<SemaphoreMethods, 'semCreate'>('semCreate', [address.name, value, replicas]),
		),
	);
}

const tryOpen = (address: ClusterAddress): ClusterSemaphore | undefined =>
	tryOpenAt(address, () => ClusterSemaphore.open(address));

const open = (address: ClusterAddress, create: SemaphoreSettings | undefined): ClusterSemaphore =>
	openAt(address, 'semaphore', () => tryOpen(address), create && (() => make(address, create)));

const look = (address: ClusterAddress, names?: readonly string[]): ClusterSemaphoreStatus[] =>
	withChannel(address, (channel) =>
		attemptOnCluster(`cannot look at ${quoted(address.shown)}`, () =>
			channel.call<SemaphoreMethods, 'semStatus'>('semStatus', [names]),
		),
	);

const statusOf = (shown: string, {value, holders, replicas, made}: ClusterSemaphoreStatus): SemaphoreStatus => ({
	name: shown,
	value,
	waiters: null,
	mode: null,
	owner: null,
	holders: holders.map(holderOf),
	cluster: {replicas, created: made},
});

clusterSemaphores.register({
	create: (name, settings) => make(onCluster(name), settings),
	open: (name, create) => open(onCluster(name), create),
	tryOpen: (name) => tryOpen(onCluster(name)),
	remove(name) {
		const address = onCluster(name);
		withChannel(address, (channel) =>
			attemptOnCluster(
				`cannot remove ${quoted(address.shown)}`,
				() => channel.call<SemaphoreMethods, 'semRemove'>('semRemove', [address.name]),
				{'no-such': 'no such semaphore'},
			),
		);
	},
	look(name) {
		const address = onCluster(name);
		const [status] = look(address, [address.name]);
		return status && statusOf(address.shown, status);
	},
	view(name) {
		const address = onCluster(name);
		const channel = openChannel(address);
		return {
			look() {
				const status = attemptOnCluster(`cannot look at ${quoted(address.shown)}`, () =>
					channel.call<SemaphoreMethods, 'semView'>('semView', [address.name]),
				);
				return status && statusOf(address.shown, status);
			},
			[Symbol.dispose]: () => closeChannel(channel),
		};
	},
	meet(name, parties, {timeoutMs, mode, onArrival}) {
		const address = onCluster(name);
		const tried = `cannot wait at ${quoted(address.shown)}`;
		if (mode !== undefined)
			throw new SystemError(`${tried}: a barrier on a cluster has no mode; its server says who may use it`);
		const attempt = <Result>(call: () => Result): Result => {
			try {
				return attemptOnCluster(tried, call);
			} catch (error) {
				const {cause} = error as Error;
				if (!(cause instanceof Refusal && cause.reason === 'parties')) throw error;
				throw new SystemError(`${tried}: the other processes wait for ${cause.message} parties, not for ${parties}`);
			}
		};
		return withChannel(address, (channel) => {
			const request = requestOf('', defaultLeaseMs);
			onArrival(
				attempt(() => channel.call<SemaphoreMethods, 'semArrive'>('semArrive', [address.name, parties, request])),
			);
			return attempt(() => channel.call<SemaphoreMethods, 'semMeet'>('semMeet', [address.name, timeoutMs]));
		});
	},
	all: (cluster) => look(cluster).map((status) => statusOf(cluster.shown + status.name, status)),
});
