/**
 * ipc-tools as a library: the classes that the commands themselves stand on.
 *
 * @packageDocumentation
 */

export {SystemError, UsageError} from './common/errors.js';
export {Semaphore, type SemaphoreSettings} from './common/semaphore.js';
export type {Holder, Holding, HoldSettings} from './common/semaphore-holders.js';
export {type Geometry, type Message, MessageQueue, type QueueAccess} from './mq/message-queue.js';
export {isKernelError, type KernelError} from './native/index.js';
export {type CreateSettings, Fifo} from './pipe/fifo.js';
export {Ring} from './shm/ring.js';
export {type SegmentAccess, type SegmentSettings, SharedMemory} from './shm/shared-memory.js';
export type {WordType} from './shm/word.js';
export type {ReceivedSignal} from './signal/received-signal.js';
export {Signals} from './signal/signals.js';
export {
	type ConnectSettings,
	type ListenSettings,
	LocalSocket,
	type PeerCredentials,
	type SocketType,
} from './sock/local-socket.js';
export type {LocalAddress} from './sock/socket-address.js';
