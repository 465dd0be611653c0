import {closeSync, fstatSync, ftruncateSync, readSync, writeSync} from 'node:fs';
import {explain, hasCode, SystemError} from '../../common/errors.js';
import {mayExist} from '../../common/process/proc.js';
import {hasEnded, processStat} from '../../common/process/process-status.js';
import {AT_FDCWD, F_RDLCK, F_UNLCK, F_WRLCK, native, O_RDWR, type SemaphoreHandle} from '../../native/index.js';

/*
 * Who holds which unit of a semaphore, so that the units of the dead come back: exactly once, and never while their
 * command or anything it left behind is alive.
 *
 * The list stands in the semaphore's own file, behind the bytes that libc maps: it has the semaphore's owner and mode
 * and is gone with it. While nobody holds anything it is cut off, and the file is as libc made it.
 *
 * THE LOCK. Whoever reads or changes the list holds a lock on one byte of the file (far behind its end, where nobody
 * else locks anything); the kernel takes it back from the dead. All that follows happens under it.
 *
 * THE TOKEN. A holder has opened the file a second time and holds a lock on the byte of its place in the list. The
 * command it runs inherits that descriptor, and so does all that the command starts: the kernel lets go of the lock
 * when the last of them has ended. So "the byte is not locked" means: everybody is gone who could have been using the
 * unit. To give back, the holder closes its own descriptor and looks like anybody else: there is no second way.
 *
 * THE TAG. The list says what was about to happen, the semaphore's value what did happen; a kill may come between any
 * two instructions. So the value changes in one instruction with a tag beside it (native/semaphore.c), and the list
 * has the tag first:
 *
 *	take	write `taking` with a new tag; value-1 and tag; write `held`
 *	give	write `giving` with a new tag; value+1 and tag; wake; write `empty`
 *
 * Programs in C change the value meanwhile as they like, the tag changes only under the lock. Whoever has the lock next
 * finds at most one place that says `taking` or `giving`, and the semaphore's tag is that place's tag if and only if
 * the value has changed. Then it finishes: `taking` becomes `held` (whose token is free by then, so the unit goes back)
 * or `empty`; `giving` wakes once more, which does no harm, and becomes `empty`, or becomes `held` again. To die while
 * finishing is to die in one of these steps again.
 *
 * Hence, with h places that are `held` (or `taking`, `giving` before their instruction counts), value + h changes only by
 * what other programs do; and a place is `empty` only when nobody has its token. At no time are there more holders
 * than units.
 */

const empty = 0;
const taking = 1;
const held = 2;
const giving = 3;
/** One who has come to a barrier: has a token and no unit. */
const present = 4;

/** Where the list begins: libc's part has 32 bytes. */
const headerAt = 64;
const headerBytes = 64;
const placeBytes = 128;
const magic = Buffer.from('ipc-sem\x01', 'latin1');
const partiesAt = 8;

/** In a place: two words that change together, then who it is. */
const tagAt = 4;
const pidAt = 8;
const uidAt = 12;
const sinceAt = 16;
const startedAt = 24;
const commandAt = 32;
const commandBytes = placeBytes - commandAt;

/** What it means that the semaphore's words are not where they were. */
export const cutOff = 'it is no semaphore any more: somebody has cut its file off';

const mostPlaces = 65_536;

/** The locked bytes: no file is that long, and no program locks there. */
const lockByte = 2 ** 40;
const tokenByte = (place: number): number => lockByte + 1 + place;

/** Above the numbers that shell scripts use. */
const leastTokenDescriptor = 100;

/** Somebody who was stopped (SIGSTOP) with the lock keeps the others out: say so rather than hang. */
const lockTimeoutMs = 10_000;

export interface HoldSettings {
	/** How long to wait for a unit; negative: for ever. */
	timeoutMs?: number;
	/** What the list shows as the holder's command. */
	command?: string;
	/** Whether commands we start from now on hold the unit too, as long as they live. */
	inherit?: boolean;
	/** Called once before the first wait. */
	onWait?: () => void;
}

/** One recorded holder; the keys are those of --json. */
export interface Holder {
	pid: number;
	uid: number;
	command: string;
	/** When it took the unit, ISO 8601. */
	since: string;
	/** `held`: by the process itself. `left`: it is gone, and what it started still holds the unit. `dead`: nobody does. */
	state: 'held' | 'left' | 'dead';
}

/** A unit that is held. */
export interface Holding extends Disposable {
	/** The descriptor whose lock is the unit; commands inherit it where that was asked for. */
	readonly descriptor: number;
	/** Gives the unit back; false when what we have started still holds it: then it goes back after its end. */
	letGo(): boolean;
}

interface Place {
	index: number;
	state: number;
	tag: number;
}

export class SemaphoreHolders {
	constructor(
		private readonly shown: string,
		private readonly descriptor: number,
		private readonly handle: SemaphoreHandle,
	) {}

	/** Whether a file has such a list behind its semaphore. */
	static isThere(descriptor: number): boolean {
		const bytes = Buffer.alloc(magic.length);
		const {size} = fstatSync(descriptor);
		if (size < headerAt + headerBytes || (size - headerAt - headerBytes) % placeBytes !== 0) return false;
		return readSync(descriptor, bytes, 0, bytes.length, headerAt) === bytes.length && bytes.equals(magic);
	}

	/** Takes a unit if there is one, and records us. */
	tryTake({command = '', inherit = false}: HoldSettings): Holding | undefined {
		return this.locked(() => {
			this.settle();
			const index = this.freePlace();
			const token = this.takeToken(index, inherit);
			try {
				const tag = this.nextTag();
				this.writePlace(index, taking, tag, command);
				if (native.semTakeTagged(this.handle, tag)) {
					this.writeState(index, held, tag);
					return new TokenHolding(token, () => this.release(index));
				}
				this.writeState(index, empty, 0);
			} catch (error) {
				closeSync(token);
				throw error;
			}
			closeSync(token);
			this.cutOff();
			return undefined;
		});
	}

	/** Gives back the units of the dead: how many. */
	reap(): number {
		// Whoever was woken for a free unit may have been killed before it took that: another one can have it.
		if (native.semGetvalue(this.handle) > 0) native.semWake(this.handle, 1);
		return this.isEmpty() ? 0 : this.locked(() => this.settle());
	}

	/** After our token: whether the unit went back. It did not where what we have started has the token too. */
	private release(index: number): boolean {
		return this.locked(() => {
			this.settle();
			const place = this.readTable()[index];
			return place?.state !== held || this.readPid(index) !== process.pid;
		});
	}

	/** Who is recorded, in the order of the list. May have to wait for those who change it; others may look as well. */
	list(): Holder[] {
		if (this.isEmpty()) return [];
		const look = () =>
			this.readTable()
				.filter(({state}) => state === held || state === giving || state === taking)
				.map(({index}) => this.describe(index));
		return this.locked(look, F_RDLCK);
	}

	/**
	 * Comes to a barrier for so many parties. `isLast` is true for the one that makes them complete: it is up to the
	 * caller to open the barrier, in `whenLast`, still under the lock.
	 *
	 * @throws SystemError when the others wait for another number of parties.
	 */
	arrive(parties: number, whenLast: () => void, isStale: () => boolean): Arrival | 'last' | 'stale' {
		return this.locked(() => {
			if (isStale()) return 'stale';
			this.settle();
			const others = this.countPresent();
			const expected = others > 0 ? this.readParties() : parties;
			if (expected !== parties)
				throw new SystemError(
					`cannot wait at ${this.shown}: the others wait for ${expected} parties, not for ${parties}`,
				);
			if (others + 1 >= parties) {
				whenLast();
				return 'last';
			}
			const index = this.freePlace();
			const token = this.takeToken(index, false);
			this.writePlace(index, present, 0, '');
			this.writeParties(parties);
			return {count: others + 1, leave: (whenAlone: () => void) => this.leave(index, token, whenAlone)};
		});
	}

	private leave(index: number, token: number, whenAlone: () => void): void {
		this.locked(() => {
			if (!this.isEmpty()) this.writeState(index, empty, 0);
			closeSync(token);
			this.settle();
			if (this.countPresent() === 0) whenAlone();
		});
	}

	private countPresent(): number {
		return this.readTable().filter(({state}) => state === present).length;
	}

	/** Finishes what one who died has begun, and gives back what the dead held: how many units. */
	private settle(): number {
		const table = this.readTable();
		const tag = native.semTag(this.handle);
		// All of this before the first unit goes back: that changes the tag.
		for (const place of table) {
			if (place.state === taking) this.setState(place, place.tag === tag ? held : empty);
			if (place.state === giving) {
				if (place.tag === tag) this.finishGiving(place);
				else this.setState(place, held);
			}
		}
		let reaped = 0;
		for (const place of table) {
			if (place.state !== held && place.state !== present) continue;
			if (this.hasToken(place.index)) continue;
			if (place.state === held) {
				this.giveBack(place);
				reaped++;
			} else {
				this.setState(place, empty);
			}
		}
		this.cutOff();
		return reaped;
	}

	private giveBack(place: Place): void {
		const tag = this.nextTag();
		this.writeState(place.index, giving, tag);
		// Where there is no room for one more, somebody has posted too many: nothing is missing then.
		native.semGiveTagged(this.handle, tag);
		this.finishGiving(place);
	}

	private finishGiving(place: Place): void {
		native.semWake(this.handle, 1);
		this.setState(place, empty);
	}

	private setState(place: Place, state: number): void {
		place.state = state;
		this.writeState(place.index, state, place.tag);
	}

	/** Under the lock of the whole list; to look, one of a kind that several may have is enough. */
	private locked<Result>(work: () => Result, type = F_WRLCK): Result {
		try {
			native.ofdSetlk(this.descriptor, type, lockByte, 1);
		} catch (error) {
			if (!hasCode(error, 'EAGAIN', 'EACCES')) throw explain(`cannot lock ${this.shown}`, error);
			this.waitForLock(type);
		}
		try {
			return work();
		} catch (error) {
			throw explain(`cannot record who holds ${this.shown}`, error, {
				ENOSPC: 'no space left in /dev/shm',
				EFAULT: cutOff,
			});
		} finally {
			native.ofdSetlk(this.descriptor, F_UNLCK, lockByte, 1);
		}
	}

	private waitForLock(type: number): void {
		try {
			native.ofdSetlkw(this.descriptor, type, lockByte, 1, lockTimeoutMs);
		} catch (error) {
			throw hasCode(error, 'ETIMEDOUT') ? this.lockedOut() : explain(`cannot lock ${this.shown}`, error);
		}
	}

	private lockedOut(): SystemError {
		return new SystemError(`cannot lock ${this.shown}: another ipc-sem has it locked, and was stopped (see: lslocks)`);
	}

	private hasToken(index: number): boolean {
		return native.ofdGetlk(this.descriptor, F_WRLCK, tokenByte(index), 1);
	}

	/** A description of its own: a lock belongs to that, not to the process. fcntl(2) */
	private takeToken(index: number, inherit: boolean): number {
		const token = native.openat(AT_FDCWD, `/proc/self/fd/${this.descriptor}`, O_RDWR, 0, -1);
		try {
			native.ofdSetlk(token, F_WRLCK, tokenByte(index), 1);
			return inherit ? this.inheritable(token) : token;
		} finally {
			if (inherit) closeSync(token);
		}
	}

	private inheritable(token: number): number {
		try {
			return native.dupInheritable(token, leastTokenDescriptor);
		} catch (error) {
			throw explain(`cannot record who holds ${this.shown}`, error, {
				EINVAL: `a command gets descriptor ${leastTokenDescriptor}, which the limit forbids (RLIMIT_NOFILE; see: ulimit -n)`,
			});
		}
	}

	private freePlace(): number {
		const table = this.readTable();
		let index = table.findIndex(({index, state}) => state === empty && !this.hasToken(index));
		for (index = index < 0 ? table.length : index; this.hasToken(index); ) index++;
		if (index >= mostPlaces) throw new SystemError(`cannot record who holds ${this.shown}: ${mostPlaces} do already`);
		return index;
	}

	private nextTag(): number {
		return (native.semTag(this.handle) + 1) >>> 0;
	}

	private isEmpty(): boolean {
		return fstatSync(this.descriptor).size < headerAt + headerBytes;
	}

	/** Where nobody holds anything, the file is as libc made it. */
	private cutOff(): void {
		const size = native.semSize();
		if (fstatSync(this.descriptor).size > size && this.readTable().every(({state}) => state === empty))
			ftruncateSync(this.descriptor, size);
	}

	private readTable(): Place[] {
		const {size} = fstatSync(this.descriptor);
		if (size < headerAt + headerBytes) return [];
		const bytes = Buffer.alloc(Math.min(size, headerAt + headerBytes + mostPlaces * placeBytes) - headerAt);
		const length = readSync(this.descriptor, bytes, 0, bytes.length, headerAt);
		const isOurs = bytes.subarray(0, magic.length).equals(magic);
		const count = Math.floor((length - headerBytes) / placeBytes);
		const table = Array.from({length: Math.max(0, count)}, (_, index): Place => {
			const at = headerBytes + index * placeBytes;
			return {index, state: bytes.readUInt32LE(at), tag: bytes.readUInt32LE(at + tagAt)};
		});
		if (!isOurs || table.some(({state}) => state > present))
			throw new SystemError(
				`the list of who holds ${this.shown} is damaged (remove the semaphore, and create it again)`,
			);
		return table;
	}

	private readPid(index: number): number {
		const bytes = Buffer.alloc(4);
		readSync(this.descriptor, bytes, 0, bytes.length, placeAt(index) + pidAt);
		return bytes.readUInt32LE();
	}

	private readParties(): number {
		const bytes = Buffer.alloc(4);
		readSync(this.descriptor, bytes, 0, bytes.length, headerAt + partiesAt);
		return bytes.readUInt32LE();
	}

	private writeParties(parties: number): void {
		const bytes = Buffer.alloc(4);
		bytes.writeUInt32LE(parties);
		writeSync(this.descriptor, bytes, 0, bytes.length, headerAt + partiesAt);
	}

	/** Both words in one write, which a kill does not cut in two: it lies within a page. */
	private writeState(index: number, state: number, tag: number): void {
		const bytes = Buffer.alloc(8);
		bytes.writeUInt32LE(state);
		bytes.writeUInt32LE(tag, tagAt);
		writeSync(this.descriptor, bytes, 0, bytes.length, placeAt(index));
	}

	private writePlace(index: number, state: number, tag: number, command: string): void {
		const bytes = Buffer.alloc(placeBytes);
		bytes.writeUInt32LE(state);
		bytes.writeUInt32LE(tag, tagAt);
		bytes.writeUInt32LE(process.pid, pidAt);
		bytes.writeUInt32LE(process.geteuid?.() ?? 0, uidAt);
		bytes.writeDoubleLE(Date.now(), sinceAt);
		bytes.writeBigUInt64LE(BigInt(startTimeOf(process.pid) ?? 0), startedAt);
		bytes.write(command, commandAt, commandBytes, 'utf8');
		// The header comes first: without places behind it, it is an empty list.
		if (this.isEmpty()) {
			const header = Buffer.alloc(headerBytes);
			magic.copy(header);
			writeSync(this.descriptor, header, 0, header.length, headerAt);
		}
		writeSync(this.descriptor, bytes, 0, bytes.length, placeAt(index));
	}

	private describe(index: number): Holder {
		const bytes = Buffer.alloc(placeBytes);
		readSync(this.descriptor, bytes, 0, bytes.length, placeAt(index));
		const pid = bytes.readUInt32LE(pidAt);
		const isAlive = isHolder(pid, Number(bytes.readBigUInt64LE(startedAt)));
		const command = bytes.toString('utf8', commandAt);
		const end = command.indexOf('\0');
		return {
			pid,
			uid: bytes.readUInt32LE(uidAt),
			command: end < 0 ? command : command.slice(0, end),
			since: new Date(bytes.readDoubleLE(sinceAt)).toISOString(),
			state: this.hasToken(index) ? (isAlive ? 'held' : 'left') : 'dead',
		};
	}
}

/** One that waits at a barrier. */
export interface Arrival {
	/** Which one it is, from 1 on. */
	count: number;
	/** Goes away again; `whenAlone` is called under the lock when nobody is left. */
	leave(whenAlone: () => void): void;
}

class TokenHolding implements Holding {
	private isOpen = true;

	constructor(
		readonly descriptor: number,
		private readonly giveBack: () => boolean,
	) {}

	letGo(): boolean {
		if (!this.isOpen) return true;
		this.isOpen = false;
		closeSync(this.descriptor);
		return this.giveBack();
	}

	[Symbol.dispose](): void {
		this.letGo();
	}
}

const placeAt = (index: number): number => headerAt + headerBytes + index * placeBytes;

/** Whether the process that was recorded lives. Where /proc does not show it, its number has to be enough. */
function isHolder(pid: number, started: number): boolean {
	const stat = processStat(pid);
	if (!stat || started === 0) return mayExist(pid);
	return !hasEnded(stat) && stat.startTime === started;
}

/** When a living process started: with the pid it names one process for good. */
function startTimeOf(pid: number): number | undefined {
	const stat = processStat(pid);
	return hasEnded(stat) ? undefined : stat?.startTime;
}
