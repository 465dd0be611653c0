import {command} from '../common/command.js';
import {about} from './about.js';
import {barrier} from './barrier.js';
import {batch} from './batch.js';
import {create} from './create.js';
import {list} from './list.js';
import {post} from './post.js';
import {reap} from './reap.js';
import {remove} from './remove.js';
import {run} from './run.js';
import {stat} from './stat.js';
import {value} from './value.js';
import {wait} from './wait.js';
import {watch} from './watch.js';

export const sem = command({
	...about,
	verbs: {run, wait, post, value, create, barrier, reap, batch, list, stat, watch, remove},
});
