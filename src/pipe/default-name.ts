import type {Address} from '../common/formats/object-name.js';

/** The FIFO that is meant when none is named. */
export const defaultName: Address = {kind: 'name', name: 'default'};
