/**
 * What the C of this runtime gives to the stand-ins for Node's modules. A number below zero is a refusal by the kernel: the
 * negative of its error number.
 */
export interface Host {
	/** statx(2): the fields of Node's Stats, in its order. */
	fstat(descriptor: number): number[] | number;
	/** statx(2): the same, by path. */
	stat(path: string, follow: boolean): number[] | number;
	/** statfs(2): type, block size, blocks, free, available, files, free files. */
	statfs(path: string): number[] | number;
	/** open(2): a descriptor, close-on-exec. */
	open(path: string, flags: number, mode: number): number;
	/** mkdir(2). */
	mkdir(path: string, mode: number, unused: number): number;
	/** unlink(2). */
	unlink(path: string, unused: number, alsoUnused: number): number;
	/** rmdir(2). */
	rmdir(path: string, unused: number, alsoUnused: number): number;
	/** chmod(2). */
	chmod(path: string, mode: number, unused: number): number;
	/** access(2). */
	access(path: string, mode: number, unused: number): number;
	/** chown(2), of a link itself. */
	lchown(path: string, uid: number, gid: number): number;
	/** close(2). */
	close(descriptor: number): number;
	/** fchmod(2). */
	fchmod(descriptor: number, mode: number): number;
	/** ftruncate(2). */
	ftruncate(descriptor: number, length: number): number;
	/** read(2), or pread(2) where the position is not negative. */
	read(descriptor: number, bytes: Uint8Array, offset: number, length: number, position: number | bigint): number;
	/** write(2), or pwrite(2) where the position is not negative. */
	write(descriptor: number, bytes: Uint8Array, offset: number, length: number, position: number | bigint): number;
	/** readdir(3): names and types in turn, unsorted. */
	readdir(path: string): (string | number)[] | number;
	/** readlink(2). */
	readlink(path: string): string | number;
	/** read(2), up to the end. */
	readAll(descriptor: number): Uint8Array | number;
	/** The words after the command's name. */
	commandLine(): string[];
	/** environ(7). */
	environment(): Record<string, string>;
	/** pid, ppid, uid, euid, gid, egid. */
	ids(): [number, number, number, number, number, number];
	/** umask(2); a negative mask only looks. */
	umask(mask: number): number;
	/** getcwd(3). */
	cwd(): string | number;
	/** sysinfo(2): bytes. */
	freeMemory(): number;
	/** clock_gettime(2): milliseconds of the monotonic clock. */
	now(): number;
	/** clock_gettime(2): milliseconds since 1970. */
	wallClock(): number;
	/** getrandom(2): fills the bytes. */
	random(bytes: Uint8Array): void;
	/** poll(2): sleeps. */
	sleep(milliseconds: number): void;
	/** Runs this command line on Node; why that failed. execve(2) */
	becomeNode(command: string): string;
	/** Whether memory has run out at any time. */
	outOfMemory(): boolean;
	/** A text that the build has put into the executable. */
	builtText(name: string): string | undefined;
	/** A module that few starts need: its exports. The build knows it by this name. */
	lateModule<Exports>(name: string): Exports;
	/** What C makes as a buffer has this prototype from now on. */
	setBufferPrototype(prototype: object): void;
	decodeUtf8(bytes: Uint8Array, start: number, end: number): string;
	decodeLatin1(bytes: Uint8Array, start: number, end: number): string;
	isUtf8(bytes: Uint8Array): boolean;
	encodeUtf8(text: string): Uint8Array;
	utf8Length(text: string): number;
	/** memmem(3). */
	indexOf(bytes: Uint8Array, wanted: Uint8Array, from: number): number;
	/** memcmp(3): -1, 0 or 1. */
	compare(one: Uint8Array, other: Uint8Array): number;
}

export const host: Host = (globalThis as unknown as {engineHost: Host}).engineHost;
