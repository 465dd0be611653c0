import type {Address} from '../common/formats/object-name.js';

/** The default FIFO. */
export const defaultName: Address = {kind: 'name', name: 'default'};
