import {type ClusterSemaphoreStatus, stream, subjectOf} from '../../semaphore/format.js';
import {refusalOf} from '../errors.js';
import {Follower} from '../follower.js';
import {type Entry, entryOf, type SemaphoreBucket} from './semaphore-bucket.js';

/** The status of one semaphore, kept up to date by the server: to look again asks nothing of it. */
export class SemaphoreView {
	private follower: Follower | undefined;
	private latest: Entry = {revision: 0, state: undefined};
	private replicas = 1;
	private error: unknown;

	constructor(
		private readonly bucket: SemaphoreBucket,
		private readonly name: string,
	) {}

	async look(): Promise<ClusterSemaphoreStatus | undefined> {
		if (this.error) throw this.error;
		if (!this.follower) await this.begin();
		const {state} = this.latest;
		return state && statusOf(this.name, this.latest, this.replicas)[0];
	}

	private async begin(): Promise<void> {
		const info = await this.bucket.info();
		// There is no bucket yet, and so no semaphore.
		if (!info) return;
		this.replicas = info.config.num_replicas;
		this.latest = await this.bucket.read(this.name);
		this.follower = new Follower(
			this.bucket.connection,
			stream,
			subjectOf(this.name),
			(sequence, {headers, data}) => {
				if (sequence < this.latest.revision) return;
				try {
					this.latest = entryOf(this.name, sequence, headers, data);
				} catch (error) {
					this.error = error;
				}
			},
			(error) => {
				this.follower?.stop();
				this.follower = undefined;
				this.latest = {revision: 0, state: undefined};
				// The bucket has been removed.
				if (refusalOf(error)?.reason !== 'no-such') this.error = error;
			},
		);
	}
}

export const statusOf = (name: string, {state}: Entry, replicas: number): ClusterSemaphoreStatus[] =>
	state ? [{name, value: state.value, made: state.made.split(' ')[0] as string, holders: state.holders, replicas}] : [];
