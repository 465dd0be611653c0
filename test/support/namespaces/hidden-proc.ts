import {spawnSync} from 'node:child_process';

/** In a mount namespace of its own: nothing of it shows outside. */
const inside = (mount: string, line: string) => `unshare -m bash -c '${mount} && ${line.replaceAll("'", `'\\''`)}'`;

/** A line for the shell that runs where /proc is an empty folder. */
export const withoutProc = (line: string): string => inside('mount -t tmpfs none /proc', line);

/** A line that runs where /proc hides the processes of other users from everybody but root. */
export const withHiddenProc = (line: string, hidepid = 2): string =>
	inside(`mount -t proc -o hidepid=${hidepid} proc /proc`, line);

/** A line that runs in a PID namespace of its own, with the /proc of the one outside. */
export const withForeignProc = (line: string): string =>
	`unshare --pid --fork bash -c '${line.replaceAll("'", `'\\''`)}'`;

const canMount = spawnSync('bash', ['-c', withHiddenProc(withoutProc('true'))]).status === 0;

export const needsMounts = {skip: !canMount && 'needs root to mount something over /proc'};
