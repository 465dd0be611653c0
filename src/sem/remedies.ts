import {type Remedies, shellWord} from '../common/errors.js';

/** What to type when a semaphore is not as it should be. */
export const remedies: Remedies = {
	'no-semaphore': (text, name) => `${text} (make it with: ipc-sem create ${shellWord(name)})`,
};
