import {command} from '../common/command.js';
import {segmentNames} from '../objects/segment/segment-name.js';
import {add} from './add.js';
import {cas} from './cas.js';
import {create} from './create.js';
import {gc} from './gc.js';
import {get} from './get.js';
import {list} from './list.js';
import {read} from './read.js';
import {recv} from './recv.js';
import {remove} from './remove.js';
import {resize} from './resize.js';
import {send} from './send.js';
import {set} from './set.js';
import {stat} from './stat.js';
import {update} from './update.js';
import {wait} from './wait.js';
import {watch} from './watch.js';
import {write} from './write.js';

export const shm = command({
	name: 'ipc-shm',
	summary: 'Share bytes, numbers and streams of records in POSIX shared memory',
	verbs: {create, write, read, get, set, add, cas, wait, update, send, recv, list, stat, watch, resize, gc, remove},
	examples: [
		{purpose: 'share a counter', line: 'ipc-shm create hits --size 8; ipc-shm add hits 1'},
		{purpose: 'stream records to ipc-shm recv ring --follow', line: 'ls | ipc-shm send ring --create'},
	],
	names: segmentNames,
});
