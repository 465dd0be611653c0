import {addon} from './addon.js';
import type {Mapping, RingHandle, SemaphoreHandle, UnixSocketRow} from './values.js';

export * from './constants.js';
export type * from './values.js';

/**
 * The kernel, as the C beside this file exports it.
 *
 * An error of the kernel throws a {@link KernelError}. Times are milliseconds, a negative time means no limit; a call that
 * waits ends with ETIMEDOUT after its time and with EINTR when a signal named to `catchSignals` arrived. Descriptors
 * are numbers and always close-on-exec.
 */
export interface Native {
	/** openat(2). Blocks for a FIFO whose other side is missing, unless O_NONBLOCK is among the flags. */
	openat(folder: number, path: string, flags: number, mode: number, timeoutMs: number): number;
	/** mkfifoat(3). The umask applies. */
	mkfifoat(folder: number, name: string, mode: number): void;
	/** unlinkat(2). */
	unlinkat(folder: number, name: string): void;
	/** Names and types (DT_FIFO, …) in turn, without . and .. readdir(3) */
	readdir(folder: number): (string | number)[];
	/** linkat(2): a file that was opened without a name (O_TMPFILE) gets one. */
	linkDescriptor(descriptor: number, path: string): void;
	/** renameat2(2) within a folder; RENAME_EXCHANGE swaps the two names at once. */
	renameat2(folder: number, from: string, to: string, flags: number): void;
	/** read(2): how many bytes; 0 at the end; -1 when it would have to wait. */
	read(descriptor: number, bytes: Uint8Array, offset: number, length: number): number;
	/** write(2): how many bytes, maybe fewer; -1 when it would have to wait. */
	write(descriptor: number, bytes: Uint8Array, offset: number, length: number): number;
	/** poll(2) over triples of descriptor, requested events, returned events. Returns how many are ready. */
	poll(triples: Int32Array, timeoutMs: number): number;
	/**
	 * A line for stderr, once: when a wait for another process has lasted this long, and we are not in the background of a terminal,
	 * unless it is wanted there, too. With a negative time there is none from now on. write(2)
	 */
	announceWait(line: Uint8Array, afterMs: number, alsoInBackground: boolean): void;
	/** The event loop waits for another process from now on, or no longer: what poll(2) is to other verbs. */
	waitForPeer(isWaiting: boolean): void;
	/** poll(2) for one descriptor in libuv's thread pool, at most this long: whether it is ready. */
	pollInBackground(descriptor: number, events: number, timeoutMs: number): Promise<boolean>;
	/** epoll_create1(2): Node's event loop calls back with descriptors that are ready and their events, in turn. */
	openReadiness(onReady: (pairs: number[]) => void): void;
	/** epoll_ctl(2): watches a descriptor for events, 0 for no longer. Node goes on for as long as `isWatching` is true. */
	watchReadiness(descriptor: number, events: number, isWatching: boolean): void;
	/** flock(2). */
	flock(descriptor: number, operation: number, timeoutMs: number): void;
	/** fcntl(2), F_OFD_SETLKW: waits. */
	ofdSetlkw(descriptor: number, type: number, start: number, length: number, timeoutMs: number): void;
	/** fcntl(2), F_OFD_SETLK: EAGAIN when another holds it. */
	ofdSetlk(descriptor: number, type: number, start: number, length: number): void;
	/** fcntl(2), F_OFD_GETLK: whether another open description holds a lock in the way. */
	ofdGetlk(descriptor: number, type: number, start: number, length: number): boolean;
	/** fcntl(2), F_GETFL. */
	fcntlGetfl(descriptor: number): number;
	/** fcntl(2), F_SETFL. */
	fcntlSetfl(descriptor: number, flags: number): void;
	/** fcntl(2), F_DUPFD: a duplicate numbered `least` or higher that commands we run inherit. */
	dupInheritable(descriptor: number, least: number): number;
	/** inotify_init1(2), non-blocking. */
	inotifyInit(): number;
	/** inotify_add_watch(2). */
	inotifyAddWatch(descriptor: number, path: string, mask: number): number;
	/** pipe2(2): read end and write end. */
	pipe2(flags: number): [number, number];
	/** fcntl(2), F_GETPIPE_SZ: bytes. */
	fcntlGetpipeSz(descriptor: number): number;
	/** fcntl(2), F_SETPIPE_SZ: the new capacity in bytes, rounded up. */
	fcntlSetpipeSz(descriptor: number, bytes: number): number;
	/** ioctl(2), FIONREAD: unread bytes in a pipe. */
	ioctlFionread(descriptor: number): number;
	/** tee(2), never waiting: copies from pipe to pipe and removes nothing; -1 when it would have to wait. */
	tee(from: number, to: number, length: number): number;
	/** splice(2), never waiting on a pipe: bytes moved; -1 when it would have to wait. */
	splice(from: number, to: number, length: number): number;
	/**
	 * Moves bytes from `input` to `output` until the input ends or the slice is over: splice(2), or read(2) and write(2)
	 * if that is refused or `byCopy` asks for it. `copyTo` (-1: none) gets a copy of all bytes. The timeouts bound each
	 * single wait for one side. Errors carry `side` and `bytes`.
	 */
	transfer(
		input: number,
		output: number,
		copyTo: number,
		sliceMs: number,
		inputTimeoutMs: number,
		outputTimeoutMs: number,
		byCopy: boolean,
	): {bytes: number; ended: boolean};
	/**
	 * Moves at most this many bytes by read(2) and write(2), or pread(2) and pwrite(2) if an offset is not negative. With
	 * `staysWithin` a file that is written to at an offset never grows by it (ENXIO). Errors carry `side` and `bytes`.
	 */
	copyRange(
		input: number,
		inputOffset: number,
		output: number,
		outputOffset: number,
		most: number,
		sliceMs: number,
		staysWithin: boolean,
	): {bytes: number; ended: boolean};
	/** Moves bytes along many pipe pairs in libuv's thread pool, until one is done or the slice is over. splice(2) */
	pumpLinks(pairs: Int32Array, sliceMs: number): Promise<(number | boolean)[]>;
	/**
	 * Of the complete records from `start` to `end`, separated by a byte or (-1) preceded by their length, `most` at most: where the
	 * last of them ends, and how many there are. memchr(3)
	 */
	takeRecords(
		bytes: Uint8Array,
		start: number,
		end: number,
		separator: number,
		most: number,
	): {end: number; count: number};
	/**
	 * RFC 8259: reads on in a JSON array or object, and answers where the next byte is: see json-scan.h, whose `struct json_scan` the
	 * numbers of `scan` are. The first one is the verdict afterwards: 0 more, 1 complete, 2 not JSON, 3 nested too deep.
	 */
	scanJson(scan: Int32Array, bytes: Uint8Array, from: number, limit: number): number;
	/**
	 * How many lines at the beginning of the range, `most` at most, are requests of JSON-RPC 2.0 that can be sent as they are: `found` has
	 * the id of each, and where it ends. UTF-8 is not checked. RFC 8259
	 */
	usualRequests(
		bytes: Uint8Array,
		start: number,
		end: number,
		mostBytes: number,
		most: number,
		found: Float64Array,
	): number;
	/** The same for results that can be printed as they are. RFC 8259 */
	usualAnswers(...same: Parameters<Native['usualRequests']>): number;
	/** mq_open(3), the name without its slash, non-blocking. A maxmsg of 0 leaves both attributes to the system. */
	mqOpen(name: string, flags: number, mode: number, maxmsg: number, msgsize: number): number;
	/** mq_unlink(3), the name without its slash. */
	mqUnlink(name: string): void;
	/** mq_getattr(3). */
	mqGetattr(queue: number): {maxmsg: number; msgsize: number; curmsgs: number};
	/** mq_send(3): one message. EAGAIN when it is full and the timeout is 0. */
	mqSend(queue: number, bytes: Uint8Array, priority: number, timeoutMs: number): void;
	/**
	 * mq_send(3): every whole record from `start` to `end`, separated by a byte or (-1) preceded by its length. `problem`
	 * is '' or the name of the error that stopped it.
	 */
	mqSendRecords(
		queue: number,
		bytes: Uint8Array,
		start: number,
		end: number,
		separator: number,
		priority: number,
		timeoutMs: number,
	): {used: number; records: number; problem: string};
	/**
	 * mq_receive(3): waits for a message, then receives the messages that are there, `most` at most. Each is framed by
	 * the separator, its length before it (-1) or not at all (-2). `index` gets start, length and priority of each.
	 * Returns how many; 0 when the queue is empty and the timeout is 0. EPIPE when `watched` has no reader any more.
	 */
	mqReceiveRecords(
		queue: number,
		bytes: Uint8Array,
		msgsize: number,
		separator: number,
		most: number,
		watched: number,
		timeoutMs: number,
		index: Int32Array,
	): number;
	/** getrlimit(2), RLIMIT_MSGQUEUE: bytes, or Infinity. */
	rlimitMsgqueue(): number;
	/** fsopen(2), fsmount(2): a folder of the mqueue file system that is not mounted anywhere. */
	mountMqueue(): number;
	/** sem_overview(7): the bytes of a semaphore's file. ENOSYS if this libc's semaphores are unknown. */
	semSize(): number;
	/** sem_overview(7): what the name of a semaphore's file begins with: `sem.` with glibc, nothing with musl. */
	semPrefix(): string;
	/** sem_open(3), the name with its slash. EEXIST when there is one. The umask applies. */
	semCreate(name: string, mode: number, value: number): void;
	/** sem_unlink(3), the name with its slash. */
	semUnlink(name: string): void;
	/**
	 * mmap(2): the semaphore in this file, whose size was checked. EILSEQ if another libc made it or it is not a
	 * semaphore.
	 */
	semMap(descriptor: number, writable: boolean): SemaphoreHandle;
	/** munmap(2). */
	semUnmap(semaphore: SemaphoreHandle): void;
	/** sem_getvalue(3). */
	semGetvalue(semaphore: SemaphoreHandle): number;
	/**
	 * Number of waiting processes, as libc counts them: a process killed while it waited stays counted. sem_overview(7)
	 */
	semWaiters(semaphore: SemaphoreHandle): number;
	/** sem_trywait(3): whether there was a unit, which is taken then. */
	semTrywait(semaphore: SemaphoreHandle): boolean;
	/** Adds this many units and wakes as many processes, if there is room for all, atomically. sem_post(3) */
	semPost(semaphore: SemaphoreHandle, count: number): boolean;
	/** futex(2): waits until the value is not zero, without taking a unit. */
	semAwait(semaphore: SemaphoreHandle, timeoutMs: number): void;
	/** futex(2): wakes this many waiting processes, so that they look again. */
	semWake(semaphore: SemaphoreHandle, count: number): void;
	/** Takes a unit, if there is one, and sets the tag, atomically. sem_trywait(3) */
	semTakeTagged(semaphore: SemaphoreHandle, tag: number): boolean;
	/** Adds a unit, if there is room, and sets the tag, atomically; wakes no process. sem_post(3) */
	semGiveTagged(semaphore: SemaphoreHandle, tag: number): boolean;
	/**
	 * sem_trywait(3), sem_post(3), sem_getvalue(3): handles known lines for as long as none has to wait or fails, and there is room
	 * for their answers: `used` bytes of the range, and where the answers end. `keys` and `rows`: see semaphore-lines.c.
	 */
	semLines(
		bytes: Uint8Array,
		start: number,
		end: number,
		keys: Uint8Array,
		rows: Int32Array,
		semaphores: readonly SemaphoreHandle[],
		answers: Uint8Array,
		filled: number,
	): {used: number; filled: number};
	/** The tag that was set last. sem_overview(7) */
	semTag(semaphore: SemaphoreHandle): number;
	/** sigaction(2): from now on these signals end our waits instead of the process. */
	catchSignals(numbers: Int32Array): void;
	/** The first signal caught, 0 for none. sigaction(2) */
	caughtSignal(): number;
	/** The signals caught since the last call. sigaction(2) */
	takeCaughtSignals(): number[];
	/** signal(7): from now on the signal's default action, whatever handled it before. */
	defaultSignal(number: number): void;
	/**
	 * Whether Node may have opened its debugger's port for a SIGUSR1; true if that is unknown. Call it twice, with a call
	 * of a function in between, once the signal has its default action. proc(5), /proc/pid/task
	 */
	mayHaveDebugger(): boolean;
	/** signal(7): performs the signal's default action, now. Returns only if that is to ignore it. */
	raiseSignal(number: number): void;
	/**
	 * rt_sigprocmask(2) in every thread: from now on they stay in the kernel's queue until they are read. ESRCH when a
	 * thread cannot be reached.
	 */
	blockSignals(numbers: Int32Array): void;
	/** signalfd(2), non-blocking. The signals have to be blocked. */
	signalfd(numbers: Int32Array): number;
	/**
	 * signalfd(2): waits for a signal, then receives the signals that are there, `most` at most. Six numbers each:
	 * signal, code, pid, uid (as a signed number), value, and the status of a child or the mark of a queued signal. Returns how
	 * many; 0 when there was none in time. EPIPE when `watched` (-1: none) has no reader any more.
	 */
	readSignals(descriptor: number, fields: Int32Array, most: number, watched: number, timeoutMs: number): number;
	/**
	 * A line `SIGNAL pid uid value` for each of the first `count` that readSignals has filled in: how many bytes. Each needs 64
	 * bytes; the names have 16 each, up to a NUL. signalfd(2)
	 */
	writeSignals(bytes: Uint8Array, fields: Int32Array, count: number, names: Uint8Array): number;
	/**
	 * pidfd_send_signal(2). A `code` of 0 sends as kill(2) does; a negative one sends all given values, as sigqueue(3)
	 * does, and then EAGAIN means that the receiver's queue is full.
	 */
	pidfdSendSignal(
		pidfd: number,
		signal: number,
		code: number,
		pid: number,
		uid: number,
		value: number,
		flags: number,
	): void;
	/** rt_sigqueueinfo(2). The mark is a number for the receiver. */
	rtSigqueueinfo(
		pid: number,
		signal: number,
		code: number,
		senderPid: number,
		senderUid: number,
		value: number,
		mark: number,
	): void;
	/** kill(2). A negative pid is a process group. */
	kill(pid: number, signal: number): void;
	/** signal(7): the first real-time signal that libc leaves to programs. */
	sigrtmin(): number;
	/**
	 * vfork(2), execvp(3): a program with our standard streams, no signal blocked, ignored or caught; `ownGroup`: in a
	 * process group of its own, which becomes the foreground group of `terminal` (-1: none). `watchdog` (-1: none) is told of
	 * the program before it runs. Returns its pid.
	 */
	spawn(
		words: readonly string[],
		environment: readonly string[],
		ownGroup: boolean,
		terminal: number,
		watchdog: number,
	): number;
	/**
	 * fork(2): a process that ends a program, and what it has started, when we have ended, or at a time that is written to the
	 * descriptor that this returns, as two 64-bit words: 0, and CLOCK_MONOTONIC in milliseconds as a floating-point number.
	 * A negative number, and 0: a signal for all of them.
	 */
	startWatchdog(): number;
	/** waitid(2): a child that Node has just started, before its loop continues: its end is kept for `childEnd`. */
	watchChild(pid: number): void;
	/** waitpid(2): the status of a watched child that has ended; undefined if it is unknown. */
	childEnd(pid: number): number | undefined;
	/** waitpid(2): pid and status; undefined when none has changed or there is none. */
	waitpid(pid: number, options: number): [number, number] | undefined;
	/** _exit(2): at once. */
	exit(status: number): never;
	/**
	 * From now on a thread of ours uses descriptors: exit() closes none before it ends the process, since Node aborts where a thread's
	 * poll finds one closed. epoll_ctl(2), _exit(2)
	 */
	shareDescriptors(): void;
	/**
	 * proc(5): the processes that have these files open, given as device and inode in turn. Four numbers each: pid,
	 * descriptor, its flags, index of the file; descriptor and index are -1 for a process that waits in open(2) for some
	 * FIFO.
	 */
	findOpenFiles(files: Float64Array): number[];
	/**
	 * proc(5): the processes that map these files, given as device and inode in turn. Two numbers each: pid, index of the
	 * file; the index is -1 for a process whose memory we have no permission to see.
	 */
	findMappings(files: Float64Array): number[];
	/** fallocate(2): reserves the memory of the first bytes of a file up to this number, now; the file grows to them. */
	fallocate(descriptor: number, length: number): void;
	/**
	 * mmap(2): writes bytes into a file without growing it. ENXIO if they reach beyond its end, ENOSPC without memory.
	 */
	storeWithin(descriptor: number, offset: number, bytes: Uint8Array): void;
	/** lseek(2), SEEK_DATA: whether a file has only zeros; parts that were never stored are not read. */
	hasOnlyZeros(descriptor: number): boolean;
	/** memfd_create(2): a file in memory, in no folder. */
	memfdCreate(name: string): number;
	/** mmap(2), of the part of a file that is touched. The descriptor stays the caller's and has to stay open. */
	shmMap(descriptor: number, writable: boolean): Mapping;
	/** munmap(2): the handle cannot be used any more. */
	shmUnmap(mapping: Mapping): void;
	/**
	 * The value of a word of 4 or 8 bytes, read atomically; as the other atomic calls by mmap(2). ENXIO: beyond the end;
	 * EINVAL: not aligned; EFAULT: another process shrank the file, or the file system is full.
	 */
	atomicLoad(mapping: Mapping, offset: number, width: number): bigint;
	/** Stores a value and returns the old one, atomically. mmap(2) */
	atomicExchange(mapping: Mapping, offset: number, width: number, value: bigint): bigint;
	/** Adds, wrapping around, and returns the old value, atomically. mmap(2) */
	atomicAdd(mapping: Mapping, offset: number, width: number, value: bigint): bigint;
	/** Stores if the word has the expected value, and returns the old value, atomically. mmap(2) */
	atomicCompareExchange(mapping: Mapping, offset: number, width: number, expected: bigint, value: bigint): bigint;
	/** futex(2): sleeps while the 32 bits there are as expected; returns whether it was woken. */
	futexWait(mapping: Mapping, offset: number, expected: bigint, timeoutMs: number): boolean;
	/** futex(2): wakes all processes that wait for these 32 bits. */
	futexWake(mapping: Mapping, offset: number): void;
	/** mmap(2), of a ring as ipc-shm(1) describes it: EBADMSG if it is not a ring. The descriptor has to stay open. */
	ringOpen(descriptor: number): RingHandle;
	/** munmap(2). */
	ringClose(ring: RingHandle): void;
	/**
	 * ipc-shm(1): sends every whole record of a range, separated by a byte, by the length before each (-1), or all of it
	 * as one (-2). `problem` is '' or the name of the error that stopped it: ENOENT when the ring has been removed and no
	 * process took the records.
	 */
	ringSend(
		ring: RingHandle,
		bytes: Uint8Array,
		start: number,
		end: number,
		separator: number,
		timeoutMs: number,
	): {used: number; records: number; problem: string};
	/**
	 * ipc-shm(1): takes records for this receiver, `most` at most, waiting for the first: false when there was none in
	 * time. EPIPE when `output` (-1: none) has no reader any more, ENOENT when the ring has been removed.
	 */
	ringClaim(ring: RingHandle, most: number, output: number, separator: number, timeoutMs: number): boolean;
	/** ipc-shm(1): writes the claimed records, `most` at most, with separator, length (-1) or neither (-2). write(2) */
	ringDeliver(
		ring: RingHandle,
		output: number,
		separator: number,
		most: number,
	): {used: number; records: number; problem: string};
	/** ipc-shm(1): the next of the claimed records; it stays claimed until `ringDone`. */
	ringNext(ring: RingHandle): Buffer | undefined;
	/** ipc-shm(1): this many of the records that `ringNext` returned are delivered. */
	ringDone(ring: RingHandle, count: number): void;
	/**
	 * ipc-shm(1): ends receiving; records that are not delivered, or unread in the pipe `output` (-1: none), are left to
	 * the next receiver.
	 */
	ringRelease(ring: RingHandle, output: number, separator: number): void;
	/** prctl(2), PR_SET_CHILD_SUBREAPER: orphaned descendants become our children. */
	setChildSubreaper(): void;
	/**
	 * Moves bytes both ways until a flow ends, the slice is over or (quiet) there was no traffic for this long. The flows
	 * are ten numbers each: see duplex.c. splice(2), send(2), recv(2)
	 */
	moveDuplex(
		flows: Int32Array,
		buffer: Uint8Array,
		sliceMs: number,
		silenceMs: number,
	): {there: number; back: number; quiet: boolean};
	/** socket(2): AF_UNIX and so on; SOCK_NONBLOCK among the type's bits makes it non-blocking. */
	socket(domain: number, type: number, protocol: number): number;
	/** socketpair(2): two local sockets that are connected to each other. */
	socketpair(type: number): [number, number];
	/** bind(2), with a struct sockaddr as the kernel takes it. */
	bind(descriptor: number, address: Uint8Array): void;
	/** listen(2). */
	listen(descriptor: number, backlog: number): void;
	/** accept4(2): a descriptor; -1 when there is no pending connection. */
	accept4(descriptor: number, flags: number): number;
	/** connect(2): waits for room in the listener's queue, or for the network; EAGAIN if the socket does not block. */
	connect(descriptor: number, address: Uint8Array, timeoutMs: number): void;
	/** shutdown(2): SHUT_WR. */
	shutdown(descriptor: number, how: number): void;
	/** unix(7), SIOCOUTQ: bytes sent that the peer has not read. */
	ioctlSiocoutq(descriptor: number): number;
	/** getsockopt(2), for options that are integers. */
	getsockopt(descriptor: number, level: number, option: number): number;
	/** setsockopt(2), for options that are integers. */
	setsockopt(descriptor: number, level: number, option: number, value: number): void;
	/** setsockopt(2), SO_LINGER: seconds that close(2) waits, negative for none; with 0 it resets a connection. socket(7) */
	setsockoptLinger(descriptor: number, seconds: number): void;
	/** unix(7), SO_PEERCRED: pid, uid and gid as they were when the peer connected or listened. */
	getsockoptPeercred(descriptor: number): [number, number, number];
	/** unix(7), SO_PEERGROUPS: the supplementary groups of the peer. */
	getsockoptPeergroups(descriptor: number): number[];
	/** unix(7), SO_PEERPIDFD: a pidfd of the peer; ENOPROTOOPT before Linux 6.5. */
	getsockoptPeerpidfd(descriptor: number): number;
	/** sendmsg(2), SCM_RIGHTS: how many bytes, -1 when it would have to wait. Never SIGPIPE. */
	sendmsg(
		descriptor: number,
		bytes: Uint8Array,
		offset: number,
		length: number,
		descriptors: Int32Array,
		flags: number,
	): number;
	/** recvmsg(2): a count of -1 when it would have to wait; the caller closes received descriptors. */
	recvmsg(
		descriptor: number,
		bytes: Uint8Array,
		offset: number,
		length: number,
		flags: number,
	): {
		count: number;
		flags: number;
		descriptors: number[];
		credentials: [number, number, number] | undefined;
		address: Uint8Array | undefined;
	};
	/** sock_diag(7): the local sockets of this network namespace. */
	sockDiagUnix(): UnixSocketRow[];
	/** pidfd_open(2). */
	pidfdOpen(pid: number): number;
	/** pidfd_getfd(2): a duplicate of another process's descriptor. */
	pidfdGetfd(pidfd: number, descriptor: number): number;
	/** getpwuid_r(3): undefined if no name is known. */
	userName(uid: number): string | undefined;
	/** getpwnam_r(3): undefined if no user has that name. */
	userId(name: string): number | undefined;
	/** getgrnam_r(3): undefined if no group has that name. */
	groupId(name: string): number | undefined;
	/** isatty(3). */
	isatty(descriptor: number): boolean;
	/** ioctl_tty(2), TIOCGWINSZ; 0 if there is no window. */
	windowColumns(descriptor: number): number;
	/** ioctl_tty(2), TIOCGWINSZ; 0 if there is no window. */
	windowRows(descriptor: number): number;
	/** tcgetpgrp(3): -1 if it is not our terminal. */
	tcgetpgrp(descriptor: number): number;
	/** tcsetpgrp(3). */
	tcsetpgrp(descriptor: number, group: number): void;
	/** tcgetattr(3): fills the bytes of a struct termios, `termiosBytes` of them. */
	tcgetattr(descriptor: number, settings: Uint8Array): void;
	/** tcsetattr(3), TCSANOW. */
	tcsetattr(descriptor: number, settings: Uint8Array): void;
}

/** The error that the native layer throws when a kernel call fails. */
export interface KernelError extends Error {
	/** The name, such as 'EAGAIN': branch on this, never on the text. */
	code: string;
	errno: number;
	syscall: string;
	/** transfer only: the side that failed. */
	side?: 'in' | 'out' | 'copy';
	/** transfer only: how many bytes had been moved before. */
	bytes?: number;
}

export const isKernelError = (error: unknown): error is KernelError =>
	error instanceof Error && 'code' in error && 'syscall' in error;

export const native: Native = addon;
