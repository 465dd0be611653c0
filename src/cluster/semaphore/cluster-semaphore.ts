import {hostname} from 'node:os';
import {Deadline} from '../../common/deadline.js';
import {countOf, quoted, SystemError} from '../../common/errors.js';
import type {ClusterAddress} from '../../common/formats/cluster-address.js';
import {tell, tellError} from '../../common/output.js';
import {stopOnSignals} from '../../common/process/signals.js';
import type {AnySemaphore} from '../../objects/semaphore/any-semaphore.js';
import {type Holder, type Holding, type HoldSettings, type Lease, leaseParts} from '../../objects/semaphore/holding.js';
import {mostUnits} from '../../objects/semaphore/semaphore.js';
import {type Channel, closeChannel, openChannel} from '../channel.js';
import {attemptOnCluster, Refusal} from '../refusal.js';
import type {SemaphoreMethods} from '../worker/semaphore/semaphore.js';
import {answerMs, defaultLeaseMs, type HolderState, type HoldRequest} from './format.js';
import {elapsedMs} from './lease-clock.js';
import {setWatchdog} from './watchdog.js';

/** Characters of a command that the list of holders shows. */
const longestCommand = 256;

/** A semaphore on a cluster. What it takes comes back when this process ends before it knows. */
export class ClusterSemaphore implements AnySemaphore {
	private constructor(
		readonly address: ClusterAddress,
		private readonly channel: Channel,
	) {}

	/** @throws Refusal `no-such` where it does not exist. */
	static open(address: ClusterAddress): ClusterSemaphore {
		const channel = openChannel(address);
		try {
			channel.call<SemaphoreMethods, 'semValue'>('semValue', [address.name]);
			return new ClusterSemaphore(address, channel);
		} catch (error) {
			closeChannel(channel);
			throw error;
		}
	}

	get shownName(): string {
		return this.address.shown;
	}

	private attempt<Result>(what: string, call: () => Result): Result {
		return attemptOnCluster(`cannot ${what} ${quoted(this.shownName)}`, call, {
			'no-such': {text: 'it has been removed', reason: 'no-semaphore', subject: this.shownName},
		});
	}

	get value(): number {
		return this.attempt('look at', () =>
			this.channel.call<SemaphoreMethods, 'semValue'>('semValue', [this.address.name]),
		);
	}

	tryWait(): boolean {
		return this.wait(0);
	}

	/** That a holder is dead does not show at once. */
	tryTake(): boolean {
		return this.wait(0);
	}

	wait(timeoutMs = -1, watched = -1): boolean {
		// A unit that is taken while a signal ends us goes back.
		stopOnSignals();
		const isTaken = this.attempt('take a unit of', () =>
			this.channel.call<SemaphoreMethods, 'semTake'>(
				'semTake',
				[this.address.name, timeoutMs, answerTimeOf(timeoutMs)],
				watched,
			),
		);
		if (isTaken) this.channel.callAtEnd<SemaphoreMethods, 'semHeard'>('semHeard', []);
		return isTaken;
	}

	post(count = 1): void {
		try {
			this.channel.call<SemaphoreMethods, 'semPost'>('semPost', [this.address.name, count]);
		} catch (error) {
			if (error instanceof Refusal && error.reason === 'overflow')
				throw new SystemError(
					`cannot post ${countOf(count, 'unit')} to ${quoted(this.shownName)}: it has ${error.message}, and the maximum is ${mostUnits}`,
				);
			this.attempt('post to', () => {
				throw error;
			});
		}
	}

	hold({timeoutMs = -1, command = '', onWait, leaseMs = defaultLeaseMs}: HoldSettings = {}): Holding | undefined {
		const request = requestOf(command, leaseMs);
		const renewed = new Float64Array(new SharedArrayBuffer(16));
		const take = (limitMs: number, answerMs: number) =>
			this.attempt('take a unit of', () =>
				this.channel.call<SemaphoreMethods, 'semHold'>('semHold', [
					this.address.name,
					request,
					limitMs,
					answerMs,
					renewed,
				]),
			);
		const deadline = new Deadline(timeoutMs);
		let taken: ReturnType<typeof take>;
		try {
			taken = take(0, answerTimeOf(timeoutMs));
		} catch (error) {
			if (timeoutMs <= 0 || !deadline.hasPassed || !(error instanceof SystemError)) throw error;
			tell(error.message);
			return undefined;
		}
		if (!taken && !deadline.hasPassed) {
			onWait?.();
			const leftMs = deadline.waitMs();
			taken = take(leftMs, leftMs);
		}
		return taken && this.holding(taken, leaseMs, renewed);
	}

	private holding({id, fence}: {id: string; fence: number}, leaseMs: number, renewed: Float64Array): Holding {
		const {channel} = this;
		const loss = channel.begin<SemaphoreMethods, 'semLost'>('semLost', [id]);
		const lease: Lease = {
			lengthMs: leaseMs,
			fence,
			descriptor: channel.descriptor,
			look() {
				const state = channel.answerTo<SemaphoreMethods, 'semLost'>(loss) ?? 'held';
				return {state, ageMs: elapsedMs([renewed[0] as number, renewed[1] as number])};
			},
			useWatchdog(descriptor) {
				setWatchdog(descriptor, (renewed[0] as number) + leaseParts.killed * leaseMs);
				channel.callAtEnd<SemaphoreMethods, 'semUseWatchdog'>('semUseWatchdog', [id, descriptor]);
			},
		};
		const letGo = () => {
			const isReleased = this.attempt('release a unit of', () =>
				channel.callAtEnd<SemaphoreMethods, 'semRelease'>('semRelease', [id]),
			);
			if (!isReleased) tellError('the cluster does not answer: the unit is free again when its lease has ended');
			return true;
		};
		return {descriptor: -1, lease, letGo, [Symbol.dispose]: letGo};
	}

	listHolders(): Holder[] {
		const [status] = this.attempt('look at', () =>
			this.channel.call<SemaphoreMethods, 'semStatus'>('semStatus', [[this.address.name]]),
		);
		return (status?.holders ?? []).map(holderOf);
	}

	reap(): number {
		return this.attempt('release units of', () =>
			this.channel.call<SemaphoreMethods, 'semReap'>('semReap', [this.address.name]),
		);
	}

	[Symbol.dispose](): void {
		closeChannel(this.channel);
	}
}

/** What does not wait for a unit waits for an answer all the same. */
const answerTimeOf = (timeoutMs: number): number => (timeoutMs === 0 ? answerMs : timeoutMs);

/** What this process says about itself. */
export const requestOf = (command: string, leaseMs: number): HoldRequest => ({
	host: hostname(),
	pid: process.pid,
	uid: process.getuid?.() ?? -1,
	command: command.slice(0, longestCommand),
	leaseMs,
});

export const holderOf = ({host, pid, uid, command, since, leaseMs}: HolderState): Holder => ({
	pid,
	uid,
	command,
	since,
	state: 'held',
	host,
	leaseMs,
});
