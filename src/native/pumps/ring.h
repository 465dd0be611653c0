/*
 * Records through a ring in shared memory, for any number of senders and receivers. The layout and its rules are
 * written down in ipc-shm(1), RING LAYOUT, so that others can join in; keep the two together.
 *
 * Positions count bytes since the ring was made and only grow; a position modulo the capacity is a place in the data.
 *
 *	head <= claim <= tail <= head + capacity
 *
 * [claim, tail) has been sent and not been taken. [head, claim) is held by receivers: the slot of each says which part it
 * holds. What lies before head is free for senders.
 *
 * Why it survives the death of any process at any instruction: the only locks are locks of the kernel on ranges of the file
 * (fcntl(2), "Open file description locks"), which die with their holder, and each step becomes visible by one store.
 *
 *  - A sender holds byte 0, copies records behind tail, and stores the new tail. Before that store they never existed.
 *  - A receiver holds byte 1 while it claims. First its slot says what it is about to take, then claim moves. If it dies
 *    in between, the next one to hold byte 1 sees a slot whose end is greater than claim, and moves claim.
 *  - A slot belongs to the receiver that holds byte 64+slot. A slot that is not empty and whose byte can be locked was
 *    left by a dead receiver: the receiver that gets the lock owns the slot and so the records, whole and in order, and
 *    delivers them before any new record. Nothing is copied, so nothing can be half done.
 *  - head is only ever computed anew from claim and the slots.
 *
 * Nothing in the shared header is trusted: positions are checked before use, places are computed modulo a capacity that
 * was checked against the size of the mapping, and every touch is guarded (guard.c).
 */
#ifndef IPC_RING_H
#define IPC_RING_H

#include "native.h"

struct slot {
	uint64_t start, end; /* empty where start >= end */
	uint8_t rest_of_line[48];
};

/* Each word that one side writes and the other reads has a cache line of its own. */
struct header {
	char magic[8];
	uint32_t version, slots;
	uint64_t capacity, data; /* of the data: its length, and where it begins in the file */
	uint8_t line_0[32];
	uint64_t tail;
	uint8_t line_1[56];
	uint64_t claim;
	uint8_t line_2[56];
	uint64_t head;
	uint8_t line_3[56];
	uint32_t receivers_wait; /* futex words: not 0 while a process may sleep */
	uint8_t line_4[60];
	uint32_t senders_wait;
	uint8_t line_5[60];
	uint8_t rest_of_page[4096 - 384];
	struct slot slot[];
};

_Static_assert(offsetof(struct header, tail) == 64 && offsetof(struct header, claim) == 128 &&
		       offsetof(struct header, head) == 192 && offsetof(struct header, receivers_wait) == 256 &&
		       offsetof(struct header, senders_wait) == 320 && offsetof(struct header, slot) == 4096 &&
		       sizeof(struct slot) == 64,
	       "the layout is a promise: ipc-shm(1)");

#define VERSION 1
#define MOST_SLOTS 1024
#define LOCK_OF_SENDERS 0
#define LOCK_OF_RECEIVERS 1
#define LOCK_OF_SLOT 64       /* plus its number */
#define PUBLISH_BYTES 32768   /* sent before waiting receivers are woken */
#define CLAIM_BYTES 65536     /* taken by a receiver at a time, or one record */
#define PIECE 65536           /* written by a receiver at a time */
#define SLICE_MS 100          /* a wait checks this often: dead processes wake no other */
#define MOMENT_MS 50          /* a call that must not wait still waits this long for locks, which are held for microseconds */

struct ring {
	int descriptor;
	uint8_t *base;
	size_t length;
	struct header *header;
	uint8_t *data;
	uint64_t capacity;
	uint32_t slots;
	struct retries retries;
	/* A receiver: its slot (-1: none), and [start, end) in it. What lies before cursor has been handed out. */
	int slot;
	uint64_t start, cursor, end;
	/* In bytes as they were written: all that were, and those of records before start. */
	double written, settled;
	uint8_t *piece;
};

/* How a record is framed outside the ring, where it is not by a separating byte (0 to 255). */
enum { BY_LENGTH = -1, WHOLE = -2 };

static inline uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static inline void store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

/* Bytes in the ring that a record of this size takes. */
static inline uint64_t space_of(uint64_t size)
{
	return 4 + ((size + 3) & ~(uint64_t)3);
}

/* The record at a position before `end`: false where it would not fit, which no sender leaves behind. */
static inline bool measure(const struct ring *ring, uint64_t position, uint64_t end, uint32_t *size)
{
	*size = __atomic_load_n((uint32_t *)(void *)(ring->data + position % ring->capacity), __ATOMIC_RELAXED);
	return space_of(*size) <= end - position;
}

/* head <= claim <= tail <= head + capacity, and all of them where records can begin. */
static inline bool is_sound(const struct ring *ring, uint64_t head, uint64_t claim, uint64_t tail)
{
	return head <= claim && claim <= tail && tail - head <= ring->capacity && (head | claim | tail) % 4 == 0;
}

/* ring.c: opening, and what both sides wait for. */
struct ring *ring_argument(struct arguments *arguments, size_t index);
void ring_wake(uint32_t *flag);
/* Locks a byte, waiting for it up to the timeout. 0, or -1 with EAGAIN (where the time is 0), ETIMEDOUT, EINTR or worse. */
int ring_lock(const struct ring *ring, int byte, int64_t timeout_ms);
void ring_unlock(const struct ring *ring, int byte);
/* Milliseconds until a deadline (negative: none), SLICE_MS at most; 0 when it has passed. */
int64_t ring_slice_until(int64_t deadline_ns);
/* No process reads `watched` any more: EPIPE. The ring has no name any more, or lost its end: ENOENT, EFAULT. Else 0. */
int ring_look_around(const struct ring *ring, int watched);
/*
 * A lock that is held for microseconds is waited for as long as anything is, since its holder may have been stopped:
 * 0 once it is ours, -1 with ETIMEDOUT, EINTR or what ring_look_around finds. Who waits for nothing still waits a moment.
 */
int ring_lock_patiently(const struct ring *ring, int byte, int watched, int64_t timeout_ms, int64_t deadline_ns);
/* Whether there is room for `need` bytes (a sender), or something to claim (a receiver, 0); -1 with errno. */
int ring_is_ready(struct ring *ring, uint64_t need, uint32_t *flag);
/*
 * Waits a moment, most_ms at most: 1 when it is ready, 0 when it is not, -1 with EINTR, EPIPE (no process reads
 * `watched` any more), ENOENT (the ring has no name any more, so no other process will open it), EFAULT (it lost its end) or worse.
 */
int ring_wait(struct ring *ring, uint64_t need, int watched, int64_t most_ms);

/* ring-receive.c */
/* What lies before start is delivered: once head has passed it senders may write over it. */
void ring_settle_until(struct ring *ring, uint64_t position);
/* What a pipe holds and its reader has not read is not delivered yet. Answers whether there is such. */
bool ring_settle_read(struct ring *ring, int output, int separator);
size_t framed_size(int separator, uint32_t size);

extern const struct export ring_send_table[1];
extern const struct export ring_receive_table[2];
extern const struct export ring_deliver_table[3];

#endif
