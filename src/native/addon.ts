import {existsSync} from 'node:fs';
import {join} from 'node:path';
import type {Native} from './index.js';

/** How Node gets the native layer. In the executable it is there already. */

/**
 * Prebuilt addons are part of the published package; one compiled or copied on installation lies beside this bundle and is taken
 * first. Node's report names the version of glibc, and musl not at all.
 */
function addonPath(): string {
	const compiled = join(__dirname, 'native.node');
	if (existsSync(compiled)) return compiled;
	const {header} = process.report.getReport() as {header: {glibcVersionRuntime?: string}};
	const libc = header.glibcVersionRuntime ? 'glibc' : 'musl';
	return join(__dirname, '..', 'prebuilds', `linux-${process.arch}-${libc}`, 'native.node');
}

function load(): Native {
	const module = {exports: {}};
	try {
		process.dlopen(module, addonPath());
	} catch (error) {
		const reason = (error instanceof Error ? error.message : String(error)).split('\n', 1)[0];
		const message = `the native part of ipc-tools cannot be loaded (${reason}); install a C compiler, then run: npm rebuild ipc-tools (with -g if it was installed with -g)`;
		// start.cjs shows the message alone.
		throw Object.assign(new Error(message), {code: 'IPC_NO_ADDON'});
	}
	return module.exports as Native;
}

export const addon: Native = load();
