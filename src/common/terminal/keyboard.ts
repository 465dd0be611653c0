import {ECHO, ICANON, native, POLLIN, termiosBytes, termiosLocalModes} from '../../native/index.js';
import {hasCode} from '../errors.js';
import {isTerminal, stdin} from '../output.js';
import {processStat} from '../process/process-status.js';
import {isReady} from '../waiting.js';

/**
 * Single keys from the terminal, without Enter and without an echo. The keys that send signals keep doing so. Only for the process
 * in the foreground: in the background to change the terminal, or to read from it, would stop us. termios(3), "Canonical mode"
 */
export class Keyboard implements Disposable {
	private readonly before = new Uint8Array(termiosBytes);
	private isOpen = false;

	constructor() {
		if (!isTerminal(stdin) || native.tcgetpgrp(stdin) !== processStat(process.pid)?.group) return;
		native.tcgetattr(stdin, this.before);
		const now = this.before.slice();
		const modes = new DataView(now.buffer);
		modes.setUint32(termiosLocalModes, modes.getUint32(termiosLocalModes, true) & ~(ICANON | ECHO), true);
		native.tcsetattr(stdin, now);
		this.isOpen = true;
	}

	/** What a poll for keys watches; -1 where none can come. */
	get descriptor(): number {
		return this.isOpen ? stdin : -1;
	}

	/** The keys that have been pressed since. */
	pressed(): string {
		if (!this.isOpen || !isReady(stdin, POLLIN, 0)) return '';
		const bytes = Buffer.alloc(64);
		const count = readKeys(bytes);
		// The terminal has been closed.
		if (count === 0) this[Symbol.dispose]();
		return bytes.toString('latin1', 0, Math.max(0, count));
	}

	[Symbol.dispose](): void {
		if (!this.isOpen) return;
		this.isOpen = false;
		try {
			native.tcsetattr(stdin, this.before);
		} catch (error) {
			if (!hasCode(error, 'EIO', 'ENOTTY')) throw error;
		}
	}
}

/** 0 at the end, and where the terminal has been closed. */
function readKeys(bytes: Uint8Array): number {
	try {
		return native.read(stdin, bytes, 0, bytes.length);
	} catch (error) {
		if (hasCode(error, 'EIO')) return 0;
		throw error;
	}
}
