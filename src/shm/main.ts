import {main} from '../common/program.js';
import {shm} from './index.js';

main(shm);
