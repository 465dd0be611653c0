import {main} from '../common/program.js';
import {signal} from './index.js';

main(signal);
