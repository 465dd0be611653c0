import {type Remedies, shellWord} from '../common/errors.js';

/** What to type when a FIFO is not as it should be. */
export const remedies: Remedies = {
	'no-fifo': (text, name) => `${text} (make it with: ipc-pipe create ${shellWord(name)})`,
};
