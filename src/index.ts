/**
 * ipc-tools as a library: the classes that the commands themselves use. What may wait blocks the event loop meanwhile; in
 * {@link promises}, which is also the module `ipc-tools/promises`, the same classes have waits that are promises.
 *
 * @packageDocumentation
 */

export {SystemError, UsageError} from './common/errors.js';
export {isKernelError, type KernelError} from './native/index.js';
export {type CreateSettings, Fifo} from './objects/fifo/fifo.js';
export {MessageQueue} from './objects/queue/message-queue.js';
export type {Message, QueueAccess, QueueAttributes} from './objects/queue/queue.js';
export {Ring} from './objects/ring/ring.js';
export type {SegmentAccess, SegmentSettings} from './objects/segment/segment.js';
export {SharedMemory} from './objects/segment/shared-memory.js';
export type {WordType} from './objects/segment/word.js';
export type {Holder, Holding, HoldSettings, Lease} from './objects/semaphore/holding.js';
export {Semaphore, type SemaphoreSettings} from './objects/semaphore/semaphore.js';
export type {ReceivedSignal} from './objects/signals/received-signal.js';
export {Signals} from './objects/signals/signals.js';
export {
	type ConnectSettings,
	type ListenSettings,
	LocalSocket,
	type PeerCredentials,
	type SocketType,
} from './objects/socket/local-socket.js';
export type {LocalAddress} from './objects/socket/socket-address.js';
export * as promises from './promises.js';
