import {main} from '../common/program.js';
import {mq} from './index.js';

main(mq);
