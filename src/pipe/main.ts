import {main} from '../common/program.js';
import {pipe} from './index.js';

main(pipe);
