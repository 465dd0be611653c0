/** What foreign-musl.mjs exports. */
import type {Target} from './targets.mjs';
export function findCompiler(target: Target): string | undefined;
