import fc from 'fast-check';
import {seed} from './random.js';

/** fast-check, with the seed of this run; a failure prints the path to the counterexample. */
fc.configureGlobal({seed});

export {fc};
