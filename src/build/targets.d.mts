/** What targets.mjs exports. */
export interface Target {
	name: string;
	arch: string;
	compilers: string[];
}
export const targets: readonly Target[];
export const localTarget: () => string;
export function compilerFor(target: Target): string | undefined;
