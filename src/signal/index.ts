import {command} from '../common/command.js';
import {about} from './about.js';
import {list} from './list.js';
import {on} from './on.js';
import {run} from './run.js';
import {send} from './send.js';
import {show} from './show.js';
import {wait} from './wait.js';

export const signal = command({...about, verbs: {send, wait, on, run, show, list}});
