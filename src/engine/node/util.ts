export {getSystemErrorMap} from './system-errors.js';
