import {existsSync} from 'node:fs';
import {join} from 'node:path';
import type {Native} from './index.js';

/** How Node gets the native layer. In the executable it is there already. */

/**
 * Prebuilt addons are part of the published package; one compiled or copied on installation lies in dist/ and is taken first.
 * Node's report names the version of glibc, and musl not at all.
 */
function addonPath(): string {
	const root = join(__dirname, '..');
	const compiled = join(root, 'dist', 'native.node');
	if (existsSync(compiled)) return compiled;
	const {header} = process.report.getReport() as {header: {glibcVersionRuntime?: string}};
	const libc = header.glibcVersionRuntime ? 'glibc' : 'musl';
	return join(root, 'prebuilds', `linux-${process.arch}-${libc}`, 'native.node');
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

export const addon: Native = load();
