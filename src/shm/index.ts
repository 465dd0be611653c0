import {command} from '../common/command.js';
import {about} from './about.js';
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
	...about,
	verbs: {create, write, read, get, set, add, cas, wait, update, send, recv, list, stat, watch, resize, gc, remove},
});
