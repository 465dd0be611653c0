import {type Remedies, shellWord} from '../common/errors.js';
import {formatSize} from '../common/formats/size.js';
import {defaultRingBytes} from '../objects/ring/ring-layout.js';

/** What to type when a segment, its ring or the semaphore of its lock is not as it should be. */
export const remedies: Remedies = {
	'no-segment': (text, name) => `${text} (make it with: ipc-shm create ${shellWord(name)} --size SIZE)`,
	'beyond-end': (text) => `${text} (see: ipc-shm resize)`,
	'no-room': (text) => text.replace('see: mount', 'see: ipc-shm list, ipc-shm gc, or mount'),
	'not-a-ring': (text) =>
		`${text} (make one with: ipc-shm send NAME --create, or ipc-shm create NAME --size ${formatSize(defaultRingBytes)})`,
	'record-too-long': (text) => `${text} (make it with a larger --size)`,
	'no-semaphore': (text, name) => `${text} (make it with: ipc-sem create ${shellWord(name)})`,
	'name-of-semaphore': (text, name) => `${text} (see: ipc-sem stat ${name || 'NAME'})`,
};
