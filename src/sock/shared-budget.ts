/**
 * What clients may have in memory together, where each alone is limited but there may be many. When it is too much the
 * client that has most gives way: so one that needs little is not harmed by others that take what they can.
 */
export class SharedBudget<Client> {
	private readonly held = new Map<Client, number>();
	private total = 0;

	constructor(
		private readonly most: number,
		/** The client no longer counts; what it has is to be thrown away. */
		private readonly giveWay: (client: Client) => void,
	) {}

	/** More than half is taken. */
	get isCrowded(): boolean {
		return this.total > this.most / 2;
	}

	/** What a client has now. */
	set(client: Client, bytes: number): void {
		this.total += bytes - (this.held.get(client) ?? 0);
		if (bytes === 0) this.held.delete(client);
		else this.held.set(client, bytes);
		while (this.total > this.most) {
			const largest = this.largest();
			if (largest === undefined) return;
			this.set(largest, 0);
			this.giveWay(largest);
		}
	}

	private largest(): Client | undefined {
		let largest: Client | undefined;
		let most = 0;
		for (const [client, bytes] of this.held) {
			if (bytes <= most) continue;
			largest = client;
			most = bytes;
		}
		return largest;
	}
}
