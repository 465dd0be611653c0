/**
 * The classes of ipc-tools whose waits are promises, for servers that may not block: no thread waits, every wait can be
 * cancelled by an AbortSignal, and the timeouts and errors are those of the blocking classes.
 *
 * @packageDocumentation
 */

export {Fifo} from './objects/promises/fifo.js';
export {LocalSocket} from './objects/promises/local-socket.js';
export {MessageQueue} from './objects/promises/message-queue.js';
export {Ring} from './objects/promises/ring.js';
export {Semaphore} from './objects/promises/semaphore.js';
export {SharedMemory} from './objects/promises/shared-memory.js';
export {Signals} from './objects/promises/signals.js';
export type {WaitSettings} from './objects/promises/wait-line.js';
