import {type Remedies, shellWord} from '../common/errors.js';

/** What to type when a queue or a message is not as it should be. */
export const remedies: Remedies = {
	'no-queue': (text, name) => `${text} (make it with: ipc-mq create ${shellWord(name)})`,
	'message-too-long': (text) => `${text} (create it with a larger --msgsize)`,
	'record-too-long': (text) => `${text} (use --split, or create it with a larger --msgsize)`,
	'no-room-for-parts': (text) => text.replace('parts of records', '--split'),
	'not-a-part': (text) => `${text} (send it with --split)`,
};
