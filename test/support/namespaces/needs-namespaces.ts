import {spawnSync} from 'node:child_process';

const isAllowed = (...words: string[]): boolean => spawnSync('unshare', words, {stdio: 'ignore'}).status === 0;

/** For a test in a user namespace of its own: not every system lets a user make one. */
export const needsUserNamespaces = {skip: !isAllowed('-r', 'true') && 'needs user namespaces'};

/** For a test whose command is the first process of a PID namespace. */
export const needsPidNamespaces = {
	skip: !isAllowed('-rpfm', '--mount-proc', 'true') && 'needs user and PID namespaces',
};
