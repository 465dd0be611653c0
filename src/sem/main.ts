import {main} from '../common/program.js';
import {sem} from './index.js';

main(sem);
