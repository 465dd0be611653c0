import {command} from '../common/command.js';
import {about} from './about.js';
import {create} from './create.js';
import {limits} from './limits-verb.js';
import {list} from './list.js';
import {move} from './move.js';
import {purge} from './purge.js';
import {recv} from './recv.js';
import {remove} from './remove.js';
import {send} from './send.js';
import {stat} from './stat.js';
import {wait} from './wait.js';
import {watch} from './watch.js';

export const mq = command({
	...about,
	verbs: {send, recv, wait, move, create, list, stat, watch, limits, purge, remove},
});
