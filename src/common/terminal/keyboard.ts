import {ECHO, ICANON, native, POLLIN, termiosBytes, termiosLocalModes} from '../../native/index.js';
import {hasCode} from '../errors.js';
import {isTerminal, stdin} from '../output.js';
import {processStat} from '../process/process-status.js';
import {isReady} from '../waiting.js';

/**
 * Single keys from the terminal, without Enter and without an echo. The keys that send signals keep doing so. Only while the process
 * is in the foreground: in the background to change the terminal, or to read from it, would stop us. termios(3), "Canonical mode"
 */
export class Keyboard implements Disposable {
	private readonly group = processStat(process.pid)?.group;
	private readonly mayExist = isTerminal(stdin);
	/** The settings as they were. */
	private before: Uint8Array | undefined;

	private get isInForeground(): boolean {
		return this.mayExist && native.tcgetpgrp(stdin) === this.group;
	}

	/**
	 * The descriptor that keys come from now, -1 for none. Asked before each wait: a shell that stops and continues us puts its own
	 * settings in place.
	 */
	descriptor(): number {
		if (!this.isInForeground) return -1;
		const settings = new Uint8Array(termiosBytes);
		native.tcgetattr(stdin, settings);
		this.before ??= settings.slice();
		const view = new DataView(settings.buffer);
		const modes = view.getUint32(termiosLocalModes, true);
		if (modes & (ICANON | ECHO)) {
			view.setUint32(termiosLocalModes, modes & ~(ICANON | ECHO), true);
			native.tcsetattr(stdin, settings);
		}
		return stdin;
	}

	/** The keys that have been pressed since. */
	pressed(): string {
		if (!this.isInForeground || !isReady(stdin, POLLIN, 0)) return '';
		const bytes = Buffer.alloc(64);
		const count = native.read(stdin, bytes, 0, bytes.length);
		return bytes.toString('latin1', 0, Math.max(0, count));
	}

	[Symbol.dispose](): void {
		if (!this.before || !this.isInForeground) return;
		try {
			native.tcsetattr(stdin, this.before);
		} catch (error) {
			// The terminal has been closed.
			if (!hasCode(error, 'EIO')) throw error;
		}
	}
}
