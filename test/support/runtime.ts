import {existsSync} from 'node:fs';
import {join} from 'node:path';
import {root} from './run.js';

/** What the commands run on in this run of the tests: `npm test -- --runtime node` chooses Node. */
export const runtime: 'small' | 'node' =
	process.env.IPC_RUNTIME === 'node' || !existsSync(join(root, 'dist', 'ipc')) ? 'node' : 'small';

/** For a test about Node itself. */
export const onlyOnNode = {skip: runtime === 'node' ? false : 'is about Node, and the commands run without it'};

/** For a test of what the executable does better than Node can. */
export const onlyOnSmall = {skip: runtime === 'small' ? false : 'Node cannot do it'};
