import {main} from '../common/program.js';
import {sock} from './index.js';

main(sock);
