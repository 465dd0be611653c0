import {closeSync, fstatSync, ftruncateSync, readSync, writeSync} from 'node:fs';
import {explain, hasCode, SystemError} from '../../common/errors.js';
import {mayExist} from '../../common/process/proc.js';
import {hasEnded, processStat} from '../../common/process/process-status.js';
import {reopen} from '../../common/reopen.js';
import {AT_FDCWD, F_RDLCK, F_UNLCK, F_WRLCK, native, O_RDWR, type SemaphoreHandle} from '../../native/index.js';
import type {Holder, Holding, HoldSettings} from './holding.js';

/*
 * Who holds which unit of a semaphore, so that the units of dead processes are released: exactly once, and never while
 * their command or any process it started is alive.
 *
 * The list lies in the semaphore's own file, behind the bytes that libc maps: it has the semaphore's owner and mode and
 * is removed with it. While no process holds a unit the list is cut off, and the file is as libc made it.
 *
 * THE LOCK. A process that reads or changes the list holds a lock on one byte of the file (far behind its end, where no
 * other program locks anything); the kernel releases the lock of a dead process. All that follows happens under it.
 *
 * THE TOKEN. A holder has opened the file a second time and holds a lock on the byte of its place in the list. The
 * command it runs inherits that descriptor, and so do all processes that the command starts: the kernel releases the
 * lock when the last of them has ended. So "the byte is not locked" means: no process is left that could be using the
 * unit. To give back, the holder closes its own descriptor and looks like any other process: there is no second way.
 *
 * THE TAG. The list says what was about to happen, the semaphore's value what did happen; a kill may come between any
 * two instructions. So the value changes in one instruction with a tag beside it (native/semaphore.c), and the list has
 * the tag first:
 *
 * 	take	write `taking` with a new tag; value-1 and tag; write `held`
 * 	give	write `giving` with a new tag; value+1 and tag; wake; write `empty`
 *
 * Programs in C change the value meanwhile as they like; the tag changes only under the lock. The next process that has
 * the lock finds at most one place that says `taking` or `giving`, and the semaphore's tag is that place's tag if and
 * only if the value has changed. Then that process finishes: `taking` becomes `held` (its token is free by then, so the
 * unit is released) or `empty`; `giving` wakes once more, which does no harm, and becomes `empty`, or becomes `held`
 * again. To die while finishing is to die in one of these steps again.
 *
 * Hence, with h places that are `held` (or `taking`, `giving` before their instruction counts), value + h changes only
 * by what other programs do; and a place is `empty` only when no process has its token. At no time are there more
 * holders than units.
 */

const empty = 0;
const taking = 1;
const held = 2;
const giving = 3;
/** A process that waits at a barrier: has a token and no unit. */
const present = 4;

/** Where the list begins: libc's part has 32 bytes. */
const headerAt = 64;
const headerBytes = 64;
const placeBytes = 128;
const magic = Buffer.from('ipc-sem\x01', 'latin1');
const partiesAt = 8;

/** In a place: two words that change together, then the identity of the process. */
const tagAt = 4;
const pidAt = 8;
const uidAt = 12;
const sinceAt = 16;
const startedAt = 24;
const commandAt = 32;
const commandBytes = placeBytes - commandAt;

/** What it means that the semaphore's words are missing. */
export const cutOff = 'it is no longer a semaphore: another process truncated its file';

const mostPlaces = 65_536;

/** The locked bytes: no file is that long, and no program locks there. */
const lockByte = 2 ** 40;
const tokenByte = (place: number): number => lockByte + 1 + place;

/** Above the numbers that shell scripts use. */
const leastTokenDescriptor = 100;

/** A process that was stopped (SIGSTOP) with the lock keeps all others out: report that rather than hang. */
const lockTimeoutMs = 10_000;

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
		private readonly path: string,
	) {}

	/** Whether a file of this size can have such a list behind its semaphore. */
	static isSize(size: number): boolean {
		return size >= headerAt + headerBytes && (size - headerAt - headerBytes) % placeBytes === 0;
	}

	/** Whether a file has such a list behind its semaphore. */
	static isThere(descriptor: number): boolean {
		const bytes = Buffer.alloc(magic.length);
		if (!SemaphoreHolders.isSize(fstatSync(descriptor).size)) return false;
		return readSync(descriptor, bytes, 0, bytes.length, headerAt) === bytes.length && bytes.equals(magic);
	}

	/** Takes a unit if there is one, and records this process. */
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

	/** Releases the units of dead processes; returns how many. */
	reap(): number {
		// A process woken for a free unit may have been killed before it took the unit: another process can have it.
		if (native.semGetvalue(this.handle) > 0) native.semWake(this.handle, 1);
		return this.isEmpty() ? 0 : this.locked(() => this.settle());
	}

	/**
	 * After releasing our token: whether the unit was released. It was not if a process that we started has the token
	 * too.
	 */
	private release(index: number): boolean {
		return this.locked(() => {
			this.settle();
			const place = this.readTable()[index];
			return place?.state !== held || this.readPid(index) !== process.pid;
		});
	}

	/**
	 * The recorded holders, in the order of the list. May have to wait for processes that change it; several may look at
	 * once.
	 */
	list(): Holder[] {
		if (this.isEmpty()) return [];
		const look = () =>
			this.readTable()
				.filter(({state}) => state === held || state === giving || state === taking)
				.map(({index}) => this.describe(index));
		return this.locked(look, F_RDLCK);
	}

	/**
	 * Arrives at a barrier for this many parties. `isLast` is true for the party that completes them: the caller then
	 * opens the barrier, in `whenLast`, still under the lock.
	 *
	 * @throws SystemError when the other processes wait for another number of parties.
	 */
	arrive(parties: number, whenLast: () => void, isStale: () => boolean): Arrival | 'last' | 'stale' {
		return this.locked(() => {
			if (isStale()) return 'stale';
			this.settle();
			const others = this.countPresent();
			const expected = others > 0 ? this.readParties() : parties;
			if (expected !== parties)
				throw new SystemError(
					`cannot wait at ${this.shown}: the other processes wait for ${expected} parties, not for ${parties}`,
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

	/** Finishes what a dead process has begun, and releases the units of dead processes; returns how many. */
	private settle(): number {
		const table = this.readTable();
		const tag = native.semTag(this.handle);
		// All of this before the first unit is released: that changes the tag.
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
		// If there is no room for one more unit, a program has posted too many: nothing is missing then.
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

	/** Under the lock of the whole list; to look, a shared lock is enough. */
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
		return new SystemError(`cannot lock ${this.shown}: an ipc-sem that was stopped holds the lock (see: lslocks)`);
	}

	private hasToken(index: number): boolean {
		return native.ofdGetlk(this.descriptor, F_WRLCK, tokenByte(index), 1);
	}

	/** An open file description of its own: a lock belongs to the description, not to the process. fcntl(2) */
	private takeToken(index: number, inherit: boolean): number {
		const token = reopen(this.descriptor, O_RDWR, -1, {folder: AT_FDCWD, name: this.path, followsLinks: false});
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
				EINVAL: `the command needs descriptor ${leastTokenDescriptor}, which is over the limit (RLIMIT_NOFILE; see: ulimit -n)`,
			});
		}
	}

	private freePlace(): number {
		const table = this.readTable();
		let index = table.findIndex(({index, state}) => state === empty && !this.hasToken(index));
		for (index = index < 0 ? table.length : index; this.hasToken(index); ) index++;
		if (index >= mostPlaces)
			throw new SystemError(`cannot record who holds ${this.shown}: it already has ${mostPlaces} holders`);
		return index;
	}

	private nextTag(): number {
		return (native.semTag(this.handle) + 1) >>> 0;
	}

	private isEmpty(): boolean {
		return fstatSync(this.descriptor).size < headerAt + headerBytes;
	}

	/** If no process holds anything, the file is as libc made it. */
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
		// The header comes first: without places behind it, the list is empty.
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

/** A process that waits at a barrier. */
export interface Arrival {
	/** Its place in the order of arrival, from 1 on. */
	count: number;
	/** Leaves the barrier; `whenAlone` is called under the lock when no process is left. */
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

/** Whether the recorded process is alive. Where /proc does not show it, its number has to be enough. */
function isHolder(pid: number, started: number): boolean {
	const stat = processStat(pid);
	if (!stat || started === 0) return mayExist(pid);
	return !hasEnded(stat) && stat.startTime === started;
}

/** When a living process started: with the pid it identifies one process for good. */
function startTimeOf(pid: number): number | undefined {
	const stat = processStat(pid);
	return hasEnded(stat) ? undefined : stat?.startTime;
}
