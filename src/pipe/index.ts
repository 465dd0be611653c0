import {command} from '../common/command.js';
import {about} from './about.js';
import {create} from './create.js';
import {list} from './list.js';
import {recv} from './recv.js';
import {remove} from './remove.js';
import {run} from './run.js';
import {send} from './send.js';
import {stat} from './stat.js';
import {tee} from './tee.js';
import {wait} from './wait.js';
import {watch} from './watch.js';

export const pipe = command({...about, verbs: {send, recv, tee, wait, run, create, list, stat, watch, remove}});
