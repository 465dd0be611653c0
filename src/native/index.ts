import {existsSync} from 'node:fs';
import {join} from 'node:path';

/**
 * The kernel, as the C beside this file exports it.
 *
 * A refusal throws a {@link KernelError}. Times are milliseconds, a negative one is for ever; a call that waits
 * ends with ETIMEDOUT after its time and with EINTR when a signal named to `catchSignals` came.
 * Descriptors are numbers and always close-on-exec.
 */
export interface Native {
	/** openat(2). Blocks for a FIFO whose other side is missing, unless O_NONBLOCK is among the flags. */
	openat(folder: number, path: string, flags: number, mode: number, timeoutMs: number): number;
	/** mkfifoat(3). The umask applies. */
	mkfifoat(folder: number, name: string, mode: number): void;
	/** unlinkat(2). */
	unlinkat(folder: number, name: string): void;
	/** renameat2(2) within a folder; RENAME_EXCHANGE swaps the two names at once. */
	renameat2(folder: number, from: string, to: string, flags: number): void;
	/** read(2): how many bytes; 0 at the end; -1 when it would have to wait. */
	read(descriptor: number, bytes: Uint8Array, offset: number, length: number): number;
	/** write(2): how many bytes, maybe fewer; -1 when it would have to wait. */
	write(descriptor: number, bytes: Uint8Array, offset: number, length: number): number;
	/** poll(2) over triples of descriptor, events asked for, events that came. Answers how many are ready. */
	poll(triples: Int32Array, timeoutMs: number): number;
	/** poll(2) for one descriptor in libuv's pool, at most so long: whether it is ready. */
	pollInBackground(descriptor: number, events: number, timeoutMs: number): Promise<boolean>;
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
	/** inotify_init1(2), non-blocking. */
	inotifyInit(): number;
	/** inotify_add_watch(2). */
	inotifyAddWatch(descriptor: number, path: string, mask: number): number;
	/** pipe2(2): read end and write end. */
	pipe2(flags: number): [number, number];
	/** fcntl(2), F_GETPIPE_SZ: bytes. */
	fcntlGetpipeSz(descriptor: number): number;
	/** fcntl(2), F_SETPIPE_SZ: the bytes it holds now, rounded up. */
	fcntlSetpipeSz(descriptor: number, bytes: number): number;
	/** ioctl(2), FIONREAD: unread bytes in a pipe. */
	ioctlFionread(descriptor: number): number;
	/** tee(2), never waiting: copies from pipe to pipe and takes nothing; -1 when it would have to wait. */
	tee(from: number, to: number, length: number): number;
	/** splice(2), never waiting on a pipe: bytes moved; -1 when it would have to wait. */
	splice(from: number, to: number, length: number): number;
	/**
	 * Moves bytes from `input` to `output` until the input ends or the slice is over: splice(2), or read(2) and
	 * write(2) where that is refused or `byCopy` asks for it. `copyTo` (-1: none) gets everything too.
	 * The timeouts bound each single wait for one side. Errors carry `side` and `bytes`.
	 */
	transfer(
		input: number,
		output: number,
		copyTo: number,
		sliceMs: number,
		inputTimeoutMs: number,
		outputTimeoutMs: number,
		byCopy: number,
	): {bytes: number; ended: boolean};
	/** Moves bytes along many pipe pairs in libuv's pool, until one is done or the slice is over. splice(2) */
	pumpLinks(pairs: Int32Array, sliceMs: number): Promise<(number | boolean)[]>;
	/** mq_open(3), the name without its slash, non-blocking. A maxmsg of 0 leaves the geometry to the system. */
	mqOpen(name: string, flags: number, mode: number, maxmsg: number, msgsize: number): number;
	/** mq_unlink(3), the name without its slash. */
	mqUnlink(name: string): void;
	/** mq_getattr(3). */
	mqGetattr(queue: number): {maxmsg: number; msgsize: number; curmsgs: number};
	/** mq_send(3): one message. EAGAIN when it is full and the timeout is 0. */
	mqSend(queue: number, bytes: Uint8Array, priority: number, timeoutMs: number): void;
	/**
	 * mq_send(3): every whole record from `start` to `end`, told apart by a separating byte or (-1) by its length before
	 * it. `problem` is '' or the name of the error that stopped it.
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
	 * mq_receive(3): waits for a message, then takes what is there, `most` at most. Each is framed by the separator, its
	 * length before it (-1) or not at all (-2). `index` gets start, length and priority of each. Answers how many; 0
	 * when it is empty and the timeout is 0. EPIPE when nobody reads `watched` any more.
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
	/** fsopen(2), fsmount(2): a folder of the mqueue file system that is mounted nowhere. */
	mountMqueue(): number;
	/** sigaction(2): from now on these end our waits instead of the process. */
	catchSignals(numbers: Int32Array): void;
	/** The first signal caught, 0 for none. sigaction(2) */
	caughtSignal(): number;
	/** signal(7): from now on the signal's default action, whatever handled it before. */
	defaultSignal(number: number): void;
	/** signal(7): the signal's default action, now. Returns only where that is to ignore it. */
	raiseSignal(number: number): void;
	/** _exit(2): at once. */
	exit(status: number): never;
	/**
	 * proc(5): who has these files open, given as device and inode in turn. Four numbers each: pid, descriptor, its flags,
	 * index of the file; descriptor and index are -1 for a process that sleeps in the opening of some FIFO.
	 */
	findOpenFiles(files: Float64Array): number[];
	/** prctl(2), PR_SET_CHILD_SUBREAPER: orphaned descendants become our children. */
	setChildSubreaper(): void;
	/**
	 * Moves bytes both ways until a flow ends, the slice is over or (quiet) nothing has moved for so long. The flows are
	 * ten numbers each: see joint.c. splice(2), send(2), recv(2)
	 */
	joinStreams(
		flows: Int32Array,
		buffer: Uint8Array,
		sliceMs: number,
		silenceMs: number,
	): {there: number; back: number; quiet: boolean};
	/** socket(2): AF_UNIX and so on; SOCK_NONBLOCK among the type's bits makes it so. */
	socket(domain: number, type: number, protocol: number): number;
	/** socketpair(2): two local ones that are each other's peer. */
	socketpair(type: number): [number, number];
	/** bind(2), with a struct sockaddr as the kernel takes it. */
	bind(descriptor: number, address: Uint8Array): void;
	/** listen(2). */
	listen(descriptor: number, backlog: number): void;
	/** accept4(2): a descriptor; -1 when nobody waits to be accepted. */
	accept4(descriptor: number, flags: number): number;
	/** connect(2): waits for room in the listener's queue, or for the network; EAGAIN where the socket does not block. */
	connect(descriptor: number, address: Uint8Array, timeoutMs: number): void;
	/** shutdown(2): SHUT_RD, SHUT_WR or SHUT_RDWR. */
	shutdown(descriptor: number, how: number): void;
	/** unix(7), SIOCOUTQ: bytes sent that the other side has not read. */
	ioctlSiocoutq(descriptor: number): number;
	/** getsockname(2): a struct sockaddr. */
	getsockname(descriptor: number): Uint8Array;
	/** getpeername(2): a struct sockaddr. */
	getpeername(descriptor: number): Uint8Array;
	/** getsockopt(2), for options that are integers. */
	getsockopt(descriptor: number, level: number, option: number): number;
	/** setsockopt(2), for options that are integers. */
	setsockopt(descriptor: number, level: number, option: number, value: number): void;
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
	/** recvmsg(2): a count of -1 when it would have to wait; descriptors that came are ours to close. */
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
	/** getpwuid_r(3): undefined where no name is known. */
	userName(uid: number): string | undefined;
	/** getpwnam_r(3): undefined where nobody has that name. */
	userId(name: string): number | undefined;
	/** getgrnam_r(3): undefined where no group has that name. */
	groupId(name: string): number | undefined;
	/** isatty(3). */
	isatty(descriptor: number): boolean;
	/** ioctl_tty(2), TIOCGWINSZ; 0 where there is no window. */
	windowColumns(descriptor: number): number;
	/** ioctl_tty(2), TIOCGWINSZ; 0 where there is no window. */
	windowRows(descriptor: number): number;
}

/** A local socket as the kernel lists it. sock_diag(7) */
export interface UnixSocketRow {
	/** Of the socket itself: what /proc/pid/fd shows. */
	inode: number;
	type: number;
	/** TCP_ESTABLISHED, TCP_CLOSE (neither connected nor listening) or TCP_LISTEN. */
	state: number;
	/** In Latin-1; the first character of an abstract one is NUL. */
	name?: string;
	/** The socket file. */
	fileDevice?: number;
	fileInode?: number;
	/** The inode of the other end. */
	peer?: number;
	/** Bytes unread; of a listener: who waits to be accepted. */
	receiveQueue?: number;
	/** Bytes on their way; of a listener: how many may wait. */
	sendQueue?: number;
	uid?: number;
}

/** What the native layer throws when the kernel refuses. */
export interface KernelError extends Error {
	/** The name, such as 'EAGAIN': branch on this, never on the text. */
	code: string;
	errno: number;
	syscall: string;
	/** transfer only: which side failed. */
	side?: 'in' | 'out' | 'copy';
	/** transfer only: how many bytes had gone through before. */
	bytes?: number;
}

export const isKernelError = (error: unknown): error is KernelError =>
	error instanceof Error && 'code' in error && 'syscall' in error;

/** Constants of <fcntl.h>, <poll.h>, <sys/file.h>, <sys/inotify.h> and <sys/socket.h>; the same on x64 and arm64 unless noted. */
export const AT_FDCWD = -100;
export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_ACCMODE = 3;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_NONBLOCK = 0o4000;
export const O_DIRECTORY = process.arch === 'arm64' ? 0o40000 : 0o200000;
export const O_NOFOLLOW = process.arch === 'arm64' ? 0o100000 : 0o400000;
export const O_PATH = 0o10000000;
export const POLLIN = 1;
export const POLLOUT = 4;
export const POLLERR = 8;
export const POLLHUP = 16;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const LOCK_UN = 8;
export const F_RDLCK = 0;
export const F_WRLCK = 1;
export const F_UNLCK = 2;
export const IN_ACCESS = 0x1;
export const IN_MODIFY = 0x2;
export const IN_CLOSE_WRITE = 0x8;
export const IN_CLOSE_NOWRITE = 0x10;
export const IN_OPEN = 0x20;
export const IN_DELETE_SELF = 0x400;
export const RENAME_EXCHANGE = 2;
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_SEQPACKET = 5;
export const SOCK_NONBLOCK = O_NONBLOCK;
export const SHUT_RD = 0;
export const SHUT_WR = 1;
export const SHUT_RDWR = 2;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_TYPE = 3;
export const SO_ERROR = 4;
export const SO_SNDBUF = 7;
export const SO_PASSCRED = 16;
export const SO_SNDBUFFORCE = 32;
export const MSG_PEEK = 2;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const TCP_ESTABLISHED = 1;
export const TCP_CLOSE = 7;
export const TCP_LISTEN = 10;
/** The smallest size every write to a pipe up to which is whole. pipe(7) */
export const PIPE_BUF = 4096;

/** A prebuilt addon comes with the published package; one compiled here stands in build/ and is taken first. */
function addonPath(): string {
	const root = join(__dirname, '..');
	const compiled = join(root, 'dist', 'native.node');
	return existsSync(compiled) ? compiled : join(root, 'prebuilds', `linux-${process.arch}.node`);
}

function load(): Native {
	const module = {exports: {}};
	try {
		process.dlopen(module, addonPath());
	} catch (error) {
		const reason = error instanceof Error ? error.message : String(error);
		throw new Error(`ipc-tools: the native part cannot be loaded (${reason}); rebuild it with: npm rebuild ipc-tools`);
	}
	return module.exports as Native;
}

export const native: Native = load();
