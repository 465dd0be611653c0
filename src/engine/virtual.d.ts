/** What the build makes for the small runtime: see src/build/engine.mjs. */
declare module 'ipc-tools:system-errors' {
	/** By error number: name and text. */
	export const systemErrors: () => Record<number, [string, string]>;
}

declare module 'ipc-tools:constants' {
	export const signals: () => Record<string, number>;
	export const errno: () => Record<string, number>;
}

declare module 'ipc-tools:target' {
	/** As process.arch. */
	export const arch: string;
	export const engineVersion: string;
}
