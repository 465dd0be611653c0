import {namesInRuntimeFolder} from '../../common/runtime-folder.js';
import {DT_SOCK} from '../../native/index.js';

/** The names of the sockets in the runtime folder, sorted. */
export const socketNames = (): string[] => namesInRuntimeFolder(DT_SOCK);
