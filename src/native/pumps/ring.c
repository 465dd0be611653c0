/*
 * Records through a ring in shared memory, for any number of senders and receivers. The layout and its rules are
 * written down in ipc-shm(1), RING LAYOUT, so that others can join in; keep the two together.
 *
 * Positions count bytes since the ring was made and only grow; a position modulo the capacity is a place in the data.
 *
 *	head <= claim <= tail <= head + capacity
 *
 * [claim, tail) has been sent and nobody has it. [head, claim) is in the hands of receivers: each has a slot that says
 * which part is its own. What lies before head is free for senders.
 *
 * Why it survives the death of anybody at any instruction: the only locks are locks of the kernel on ranges of the file
 * (fcntl(2), "Open file description locks"), which die with their holder, and each step becomes visible by one store.
 *
 *  - A sender holds byte 0, copies records behind tail, and stores the new tail. Before that store they never existed.
 *  - A receiver holds byte 1 while it claims. First its slot says what it is about to take, then claim moves. If it dies
 *    in between, the next one to hold byte 1 sees a slot whose end is greater than claim, and moves claim.
 *  - A slot belongs to whoever holds byte 64+slot. A slot that is not empty and whose byte can be locked was left by
 *    somebody who is gone: whoever gets the lock owns the slot and so the records, whole and in order, and delivers them
 *    before anything new. Nothing is copied, so nothing can be half done.
 *  - head is only ever computed anew from claim and the slots.
 *
 * Nothing in the shared header is trusted: positions are checked before use, places are computed modulo a capacity that
 * was checked against the size of the mapping, and every touch is guarded (guard.c).
 */
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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
	uint32_t receivers_wait; /* futex words: not 0 while somebody may sleep */
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
#define PUBLISH_BYTES 32768   /* so many are sent before those who wait for them hear of it */
#define CLAIM_BYTES 65536     /* so many a receiver takes at a time, or one record */
#define PIECE 65536           /* and so many it writes at a time */
#define SLICE_MS 100          /* a wait looks around so often: the dead wake nobody */
#define MOMENT_MS 50          /* who must not wait waits so long for locks, which are held for microseconds */

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

static const napi_type_tag ring_tag = {0x6970632d73686d21, 0x72696e6721212121};

static uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static void store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

static void wake(uint32_t *flag)
{
	if (__atomic_load_n(flag, __ATOMIC_SEQ_CST) && __atomic_exchange_n(flag, 0, __ATOMIC_SEQ_CST))
		futex_wake(flag, INT_MAX);
}

/* What a record of so many bytes takes in the ring. */
static uint64_t space_of(uint64_t size)
{
	return 4 + ((size + 3) & ~(uint64_t)3);
}

static void copy_in(struct ring *ring, uint64_t at, const uint8_t *from, size_t length)
{
	size_t first = length < ring->capacity - at ? length : (size_t)(ring->capacity - at);
	memcpy(ring->data + at, from, first);
	if (first < length)
		memcpy(ring->data, from + first, length - first);
}

static void copy_out(const struct ring *ring, uint64_t at, uint8_t *to, size_t length)
{
	size_t first = length < ring->capacity - at ? length : (size_t)(ring->capacity - at);
	memcpy(to, ring->data + at, first);
	if (first < length)
		memcpy(to + first, ring->data, length - first);
}

/* The record at a position before `end`: false where it would not fit, which no sender leaves behind. */
static bool measure(const struct ring *ring, uint64_t position, uint64_t end, uint32_t *size)
{
	*size = __atomic_load_n((uint32_t *)(void *)(ring->data + position % ring->capacity), __ATOMIC_RELAXED);
	return space_of(*size) <= end - position;
}

/* Locks a byte, waiting for it so long at most. 0, or -1 with EAGAIN (where the time is 0), ETIMEDOUT, EINTR or worse. */
static int lock_byte(const struct ring *ring, int byte, int64_t timeout_ms)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
	int result = fcntl(ring->descriptor, F_OFD_SETLK, &lock);
	if (result == 0 || timeout_ms == 0 || (errno != EAGAIN && errno != EACCES))
		return result;
	struct wait wait;
	wait_begin(&wait, timeout_ms);
	do
		result = wait_allows(&wait) ? fcntl(ring->descriptor, F_OFD_SETLKW, &lock) : -1;
	while (result < 0 && wait_goes_on(&wait));
	wait_end(&wait);
	return result;
}

static void unlock_byte(const struct ring *ring, int byte)
{
	int saved = errno;
	struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
	fcntl(ring->descriptor, F_OFD_SETLK, &lock);
	errno = saved;
}

/* Until a deadline (negative: none) there are so many milliseconds, SLICE_MS at most; none: 0. */
static int64_t slice_until(int64_t deadline_ns)
{
	if (deadline_ns < 0)
		return SLICE_MS;
	int64_t left = (deadline_ns - monotonic_ns() + 999999) / 1000000;
	return left < 0 ? 0 : left < SLICE_MS ? left : SLICE_MS;
}

/* Nobody reads `watched` any more: EPIPE. The ring has no name any more, or lost its end: ENOENT, EFAULT. Else 0. */
static int look_around(const struct ring *ring, int watched)
{
	struct stat status;
	if (watched >= 0) {
		struct pollfd pollfd = {.fd = watched};
		if (poll(&pollfd, 1, 0) > 0 && (pollfd.revents & (POLLERR | POLLHUP))) {
			errno = EPIPE;
			return -1;
		}
	}
	if (fstat(ring->descriptor, &status) == 0 && (status.st_nlink == 0 || (uint64_t)status.st_size < ring->length)) {
		errno = status.st_nlink == 0 ? ENOENT : EFAULT;
		return -1;
	}
	return 0;
}

/*
 * A lock that is held for microseconds is waited for as long as anything is, since its holder may have been stopped:
 * 0 once it is ours, -1 with ETIMEDOUT, EINTR or what look_around finds. Who waits for nothing still waits a moment.
 */
static int lock_patiently(const struct ring *ring, int byte, int watched, int64_t timeout_ms, int64_t deadline_ns)
{
	if (timeout_ms == 0)
		deadline_ns = monotonic_ns() + MOMENT_MS * 1000000;
	for (;;) {
		int64_t slice_ms = slice_until(deadline_ns);
		int result = lock_byte(ring, byte, slice_ms > 0 ? slice_ms : 1);
		if (result == 0 || errno != ETIMEDOUT || (deadline_ns >= 0 && monotonic_ns() >= deadline_ns))
			return result;
		if (look_around(ring, watched) < 0)
			return -1;
	}
}

/* head <= claim <= tail <= head + capacity, and all of them where records can begin. */
static bool is_sound(const struct ring *ring, uint64_t head, uint64_t claim, uint64_t tail)
{
	return head <= claim && claim <= tail && tail - head <= ring->capacity && (head | claim | tail) % 4 == 0;
}

/*
 * Waiting.
 */

struct glance {
	struct ring *ring;
	uint32_t *flag; /* to be raised, or NULL */
	uint64_t head, claim, tail;
};

static void glance_at(void *context)
{
	struct glance *glance = context;
	struct header *header = glance->ring->header;
	if (glance->flag)
		__atomic_store_n(glance->flag, 1, __ATOMIC_SEQ_CST);
	glance->head = load(&header->head);
	glance->claim = load(&header->claim);
	glance->tail = load(&header->tail);
}

/* Whether there is room for so much (a sender), or something to claim (a receiver, 0); -1 with errno. */
static int is_ready(struct ring *ring, uint64_t need, uint32_t *flag)
{
	struct glance glance = {.ring = ring, .flag = flag};
	if (!guarded(glance_at, &glance))
		return -1;
	if (need == 0)
		return glance.tail != glance.claim;
	return glance.tail - glance.head + need <= ring->capacity;
}

static void pause_briefly(void)
{
	for (int i = 0; i < 16; i++)
#if defined(__x86_64__) || defined(__i386__)
		__builtin_ia32_pause();
#elif defined(__aarch64__)
		__asm__ volatile("yield");
#else
		__asm__ volatile("" ::: "memory");
#endif
}

/*
 * Waits a moment, so many milliseconds at most: 1 when it is ready, 0 when it is not, -1 with EINTR, EPIPE (nobody reads
 * `watched` any more), ENOENT (the ring has no name any more, so nobody else will come), EFAULT (it lost its end) or worse.
 */
static int wait_a_moment(struct ring *ring, uint64_t need, int watched, int64_t most_ms)
{
	uint32_t *flag = need == 0 ? &ring->header->receivers_wait : &ring->header->senders_wait;
	int ready;
	for (int tries = 0, most = tries_now(&ring->retries); tries < most; tries++) {
		ready = is_ready(ring, need, NULL);
		if (ready != 0) {
			if (tries > 0)
				learn_from(&ring->retries, false);
			return ready;
		}
		pause_briefly();
	}
	learn_from(&ring->retries, true);
	/* Whoever makes it ready after this look sees the flag, and whoever did before is seen by it. */
	ready = is_ready(ring, need, flag);
	if (ready != 0)
		return ready;
	if (futex_wait(flag, 1, most_ms) < 0 && errno != EAGAIN && errno != ETIMEDOUT)
		return -1;
	ready = is_ready(ring, need, NULL);
	if (ready != 0)
		return ready;
	return look_around(ring, watched);
}

/*
 * Sending.
 */

enum { BY_LENGTH = -1, WHOLE = -2 };

struct sending {
	struct ring *ring;
	const uint8_t *data;
	size_t length;
	int separator;
	size_t used;
	double records;
	uint64_t need; /* not 0: the next record needs so much room */
	int problem;
	bool is_complete;
};

static bool next_record(const struct sending *sending, size_t *body, size_t *size, size_t *next)
{
	if (sending->separator != WHOLE)
		return find_record(sending->data + sending->used, sending->length - sending->used, sending->separator, body,
				   size, next);
	*body = 0;
	*size = *next = sending->length;
	return sending->records == 0;
}

/* Holding the lock of senders: as many records as fit. */
static void put_records(void *context)
{
	struct sending *sending = context;
	struct ring *ring = sending->ring;
	struct header *header = ring->header;
	uint64_t tail = load(&header->tail), published = tail, head = load(&header->head), at = tail % ring->capacity;
	size_t body, size, next;
	sending->need = 0;
	if (!is_sound(ring, head, head, tail)) {
		sending->problem = EBADMSG;
		return;
	}
	for (;;) {
		if (!next_record(sending, &body, &size, &next)) {
			sending->is_complete = true;
			break;
		}
		uint64_t space = space_of(size);
		if (space > ring->capacity || size > UINT32_MAX) {
			sending->problem = EMSGSIZE;
			break;
		}
		if (tail + space - head > ring->capacity) {
			head = load(&header->head);
			if (!is_sound(ring, head, head, tail)) {
				sending->problem = EBADMSG;
				break;
			}
			if (tail + space - head > ring->capacity) {
				sending->need = space;
				break;
			}
		}
		*(uint32_t *)(void *)(ring->data + at) = (uint32_t)size;
		copy_in(ring, at + 4 == ring->capacity ? 0 : at + 4, sending->data + sending->used + body, size);
		at += space;
		if (at >= ring->capacity)
			at -= ring->capacity;
		tail += space;
		sending->used += next;
		sending->records++;
		if (tail - published >= PUBLISH_BYTES) {
			store(&header->tail, tail);
			published = tail;
			wake(&header->receivers_wait);
		}
	}
	if (tail != published) {
		store(&header->tail, tail);
		wake(&header->receivers_wait);
	}
}

static struct ring *ring_argument(struct arguments *arguments, size_t index)
{
	struct ring *ring = handle_argument(arguments, index, &ring_tag);
	if (ring && !ring->base) {
		napi_throw_type_error(arguments->env, "ERR_INVALID_STATE", "the ring is closed");
		return NULL;
	}
	return ring;
}

/*
 * What was sent to a ring that has been removed comes to nobody, unless a receiver that has it open has taken all of it:
 * that may well be the one that has removed it. ENOENT, or EFAULT.
 */
static bool is_of_use(struct ring *ring)
{
	if (look_around(ring, -1) == 0)
		return true;
	int problem = errno;
	int ready = problem == ENOENT ? is_ready(ring, 0, NULL) : 1;
	errno = problem;
	return ready == 0;
}

/*
 * ringSend(ring, bytes, start, end, separator, timeoutMs) -> {used, records, problem}
 *
 * Sends every whole record of the range: told apart by a separating byte, by a length before each (-1), or all of it as
 * one (-2). `problem` is '' or the name of the error: EAGAIN (no room, and the timeout is 0), ETIMEDOUT, EINTR, EMSGSIZE
 * (larger than the ring), EBADMSG (the ring is damaged), EFAULT (it was cut), ENOENT (it was removed while full, or with
 * records in it that nobody has taken: those of the last piece do not count then).
 */
static napi_value js_ring_send(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct ring *ring;
	int separator;
	int64_t start, end, timeout_ms;
	struct bytes bytes;
	if (!read_arguments(env, info, 6, &arguments) || !(ring = ring_argument(&arguments, 0)) ||
	    !bytes_argument(&arguments, 1, &bytes) || !int64_argument(&arguments, 2, &start) ||
	    !int64_argument(&arguments, 3, &end) || !int_argument(&arguments, 4, &separator) ||
	    !int64_argument(&arguments, 5, &timeout_ms))
		return NULL;
	if (start < 0 || end < start || (uint64_t)end > bytes.length)
		return napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "outside the buffer"), NULL;
	struct sending sending = {
		.ring = ring, .data = bytes.data + start, .length = (size_t)(end - start), .separator = separator};
	/* The time is for each single wait, as everywhere. */
	int64_t deadline_ns = timeout_ms < 0 ? -1 : monotonic_ns() + timeout_ms * 1000000;
	for (;;) {
		double before = sending.records;
		if (take_stop() || lock_patiently(ring, LOCK_OF_SENDERS, -1, timeout_ms, deadline_ns) < 0)
			return sent_records(env, sending.used, before, errno_name(errno));
		if (!guarded(put_records, &sending))
			sending.problem = errno;
		unlock_byte(ring, LOCK_OF_SENDERS);
		if (sending.problem)
			return sent_records(env, sending.used, sending.records, errno_name(sending.problem));
		if (sending.records > before && !is_of_use(ring))
			return sent_records(env, sending.used, before, errno_name(errno));
		if (sending.is_complete)
			return sent_records(env, sending.used, sending.records, "");
		if (timeout_ms == 0)
			return sent_records(env, sending.used, sending.records, errno_name(EAGAIN));
		if (timeout_ms > 0 && sending.records > before)
			deadline_ns = monotonic_ns() + timeout_ms * 1000000;
		for (int ready = 0; ready == 0;) {
			int64_t slice_ms = slice_until(deadline_ns);
			if (slice_ms == 0)
				return sent_records(env, sending.used, sending.records, errno_name(ETIMEDOUT));
			ready = wait_a_moment(ring, sending.need, -1, slice_ms);
			if (ready < 0)
				return sent_records(env, sending.used, sending.records, errno_name(errno));
		}
	}
}

/*
 * Receiving.
 */

struct claiming {
	struct ring *ring;
	uint64_t most;
	int problem;
	bool has_any, lacks_slot;
};

/* What lies before start is delivered: once head has passed it senders may write over it. */
static void settle_until(struct ring *ring, uint64_t position)
{
	ring->start = position;
	store(&ring->header->slot[ring->slot].start, position);
}

/* Everything that was handed out is settled, and so the slot is empty where all was. */
static void settle_all(struct ring *ring)
{
	if (ring->slot < 0 || ring->start >= ring->cursor)
		return;
	settle_until(ring, ring->cursor);
	ring->settled = ring->written;
}

static void give_up_slot(struct ring *ring)
{
	if (ring->slot >= 0)
		unlock_byte(ring, LOCK_OF_SLOT + ring->slot);
	ring->slot = -1;
	ring->start = ring->cursor = ring->end = 0;
}

/* A slot that somebody left with records in it becomes ours. */
static bool take_over(struct claiming *claiming, uint64_t head, uint64_t tail)
{
	struct ring *ring = claiming->ring;
	for (uint32_t i = 0; i < ring->slots; i++) {
		struct slot *slot = &ring->header->slot[i];
		if ((int)i == ring->slot || load(&slot->start) >= load(&slot->end))
			continue;
		if (lock_byte(ring, LOCK_OF_SLOT + (int)i, 0) < 0)
			continue;
		uint64_t start = load(&slot->start), end = load(&slot->end);
		if (start >= end) { /* its owner was done, and left just now */
			unlock_byte(ring, LOCK_OF_SLOT + (int)i);
			continue;
		}
		if (!is_sound(ring, head, start, tail) || end > tail || end % 4 != 0) {
			unlock_byte(ring, LOCK_OF_SLOT + (int)i);
			claiming->problem = EBADMSG;
			return false;
		}
		settle_all(ring);
		give_up_slot(ring);
		ring->slot = (int)i;
		ring->start = ring->cursor = start;
		ring->end = end;
		ring->settled = ring->written;
		return true;
	}
	return false;
}

static bool find_slot(struct ring *ring)
{
	for (uint32_t i = 0; ring->slot < 0 && i < ring->slots; i++) {
		struct slot *slot = &ring->header->slot[i];
		if (load(&slot->start) >= load(&slot->end) && lock_byte(ring, LOCK_OF_SLOT + (int)i, 0) == 0)
			ring->slot = (int)i;
	}
	return ring->slot >= 0;
}

/* Whole records from claim on, into our slot; answers the new claim. */
static uint64_t take_new(struct claiming *claiming, uint64_t claim, uint64_t tail)
{
	struct ring *ring = claiming->ring;
	uint64_t position = claim;
	uint32_t size;
	for (uint64_t records = 0; position < tail && records < claiming->most; records++) {
		if (!measure(ring, position, tail, &size)) {
			claiming->problem = EBADMSG;
			return claim;
		}
		uint64_t space = space_of(size);
		if (records > 0 && position + space - claim > CLAIM_BYTES)
			break;
		position += space;
	}
	if (position == claim)
		return claim;
	/* What was handed out and may not have been read yet stays ours too, where it lies right before. */
	if (ring->slot < 0 || ring->start >= ring->end || ring->end != claim) {
		settle_all(ring);
		if (!find_slot(ring)) {
			claiming->lacks_slot = true;
			return claim;
		}
		settle_until(ring, claim);
		ring->cursor = claim;
		ring->settled = ring->written;
	}
	ring->end = position;
	store(&ring->header->slot[ring->slot].end, position);
	claiming->has_any = true;
	return position;
}

/* Holding the lock of receivers: what was left behind, else what is new; and what has been delivered becomes free. */
static void claim_records(void *context)
{
	struct claiming *claiming = context;
	struct ring *ring = claiming->ring;
	struct header *header = ring->header;
	uint64_t tail = load(&header->tail), claim = load(&header->claim), head = load(&header->head), lowest;
	for (uint32_t i = 0; i < ring->slots; i++) {
		uint64_t start = load(&header->slot[i].start), end = load(&header->slot[i].end);
		if (start < end && end > claim)
			claim = end;
	}
	if (!is_sound(ring, head, claim, tail)) {
		claiming->problem = EBADMSG;
		return;
	}
	if (claiming->most > 0) {
		if (ring->cursor < ring->end)
			claiming->has_any = true;
		else if (take_over(claiming, head, tail))
			claiming->has_any = true;
		else if (!claiming->problem)
			claim = take_new(claiming, claim, tail);
	}
	if (claim != load(&header->claim))
		store(&header->claim, claim);
	lowest = claim;
	for (uint32_t i = 0; i < ring->slots; i++) {
		uint64_t start = load(&header->slot[i].start), end = load(&header->slot[i].end);
		if (start < end && start < lowest)
			lowest = start;
	}
	if (lowest > head) {
		store(&header->head, lowest);
		wake(&header->senders_wait);
	}
}

enum { NONE, ANY, NO_SLOT };

/* Holding the lock of receivers: what there is in our slot, or -1 with errno. A `most` of 0 only frees what is delivered. */
static int claim_now(struct ring *ring, uint64_t most, int watched, int64_t timeout_ms, int64_t deadline_ns)
{
	struct claiming claiming = {.ring = ring, .most = most};
	if (lock_patiently(ring, LOCK_OF_RECEIVERS, watched, timeout_ms, deadline_ns) < 0)
		return -1;
	if (!guarded(claim_records, &claiming))
		claiming.problem = errno;
	unlock_byte(ring, LOCK_OF_RECEIVERS);
	if (claiming.problem) {
		errno = claiming.problem;
		return -1;
	}
	return claiming.has_any ? ANY : claiming.lacks_slot ? NO_SLOT : NONE;
}

struct walk {
	struct ring *ring;
	int separator;
	double limit;
	int problem;
};

static size_t framed_size(int separator, uint32_t size)
{
	return separator >= 0 ? (size_t)size + 1 : separator == BY_LENGTH ? (size_t)size + 4 : size;
}

static void settle_read(void *context)
{
	struct walk *walk = context;
	struct ring *ring = walk->ring;
	uint64_t position = ring->start;
	uint32_t size;
	while (position < ring->end) {
		if (!measure(ring, position, ring->end, &size)) {
			walk->problem = EBADMSG;
			return;
		}
		size_t framed = framed_size(walk->separator, size);
		double behind = ring->settled + (double)framed;
		if (behind > walk->limit || (framed == 0 && position >= ring->cursor))
			break;
		ring->settled = behind;
		position += space_of(size);
	}
	if (position > ring->start)
		settle_until(ring, position);
}

/* What a pipe holds and its reader has not read is not delivered yet. Answers whether there is such. */
static bool settle_what_was_read(struct ring *ring, int output, int separator)
{
	int unread = 0;
	if (ring->slot < 0 || ring->start >= ring->end)
		return false;
	struct stat status;
	if (fstat(output, &status) == 0 && S_ISFIFO(status.st_mode) && ioctl(output, FIONREAD, &unread) < 0)
		unread = 0;
	struct walk walk = {.ring = ring, .separator = separator, .limit = ring->written - unread};
	guarded(settle_read, &walk);
	return unread > 0;
}

/*
 * ringClaim(ring, most, output, separator, timeoutMs) -> whether there are records to deliver; false after the timeout
 *
 * Takes up to `most` records, left behind by a receiver that is gone or else new, waiting for the first. EPIPE when nobody
 * reads `output` (-1: none) any more, ENOENT when the ring is empty and has been removed, EBADMSG, EFAULT, EINTR.
 */
static napi_value js_ring_claim(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct ring *ring;
	int output, separator;
	int64_t most, timeout_ms;
	napi_value has_any;
	if (!read_arguments(env, info, 5, &arguments) || !(ring = ring_argument(&arguments, 0)) ||
	    !int64_argument(&arguments, 1, &most) || !int_argument(&arguments, 2, &output) ||
	    !int_argument(&arguments, 3, &separator) || !int64_argument(&arguments, 4, &timeout_ms))
		return NULL;
	int64_t deadline_ns = timeout_ms < 0 ? -1 : monotonic_ns() + timeout_ms * 1000000, moment_ms = 1;
	int result;
	for (;;) {
		bool is_unread = output >= 0 && settle_what_was_read(ring, output, separator);
		result = claim_now(ring, most > 0 ? (uint64_t)most : 1, output, timeout_ms, deadline_ns);
		/* Who must not wait, or not any longer, has found none: there may be some, but not for us now. */
		if (result < 0 && errno == ETIMEDOUT)
			result = NONE;
		if (result < 0 || result == ANY || timeout_ms == 0)
			break;
		int64_t slice_ms = slice_until(deadline_ns);
		if (slice_ms == 0)
			break;
		if (take_stop()) {
			result = -1;
			break;
		}
		/* A reader that reads wakes nobody, and may be what a full ring waits for; nor does who leaves a slot. */
		if ((is_unread || result == NO_SLOT) && moment_ms < slice_ms)
			slice_ms = moment_ms;
		moment_ms = moment_ms < SLICE_MS / 2 ? 2 * moment_ms : SLICE_MS;
		if (result == NO_SLOT)
			result = poll_until(NULL, 0, slice_ms) < 0 ? -1 : look_around(ring, output);
		else
			result = wait_a_moment(ring, 0, output, slice_ms);
		if (result < 0)
			break;
		/* Somebody else may need the slot. */
		if (result == 0 && ring->slot >= 0 && ring->start >= ring->end)
			give_up_slot(ring);
	}
	if (result < 0)
		return throw_errno(env, errno, "ring");
	napi_get_boolean(env, result == ANY, &has_any);
	return has_any;
}

struct framing {
	struct ring *ring;
	int separator;
	uint64_t most;
	/* In: where to begin, within the record there. Out: where it ended. */
	uint64_t position, inside;
	size_t used;
	double records;
	int problem;
};

/* Fills a piece with records as they go out; one that is larger than a piece goes out in several. */
static void fill_piece(void *context)
{
	struct framing *framing = context;
	struct ring *ring = framing->ring;
	uint32_t size;
	size_t before = framing->separator == BY_LENGTH ? 4 : 0;
	while (framing->position < ring->end && framing->records < (double)framing->most) {
		if (!measure(ring, framing->position, ring->end, &size)) {
			framing->problem = EBADMSG;
			return;
		}
		size_t whole = framed_size(framing->separator, size), room = PIECE - framing->used;
		if (framing->inside == 0 && whole > room && framing->used > 0)
			return;
		uint8_t *to = ring->piece + framing->used;
		if (framing->inside == 0 && before) {
			for (int i = 0; i < 4; i++)
				*to++ = (uint8_t)(size >> (24 - 8 * i));
			framing->inside = 4;
			room -= 4;
		}
		size_t done = (size_t)framing->inside - before, rest = size - done, part = rest < room ? rest : room;
		copy_out(ring, (framing->position + 4 + done) % ring->capacity, to, part);
		to += part;
		framing->inside += part;
		if (part == rest && framing->separator >= 0 && part < room) {
			*to++ = (uint8_t)framing->separator;
			framing->inside++;
		}
		framing->used = (size_t)(to - ring->piece);
		if (framing->inside < whole)
			return;
		framing->inside = 0;
		framing->position += space_of(size);
		framing->records++;
	}
}

/* write(2) all of it, counting what went: 0, or -1 with errno. */
static int write_piece(struct ring *ring, int output, size_t length)
{
	for (size_t at = 0; at < length;) {
		if (take_stop())
			return -1;
		ssize_t count = write(output, ring->piece + at, length - at);
		if (count >= 0) {
			at += (size_t)count;
			ring->written += (double)count;
		} else if (errno == EAGAIN) {
			struct pollfd pollfd = {.fd = output, .events = POLLOUT};
			if (poll_until(&pollfd, 1, -1) < 0)
				return -1;
		} else if (errno != EINTR) {
			return -1;
		}
	}
	return 0;
}

/*
 * ringDeliver(ring, output, separator, most) -> {used, records, problem}: what was claimed, `most` at most, to a descriptor
 *
 * Each is followed by the separator, or has its length before it (-1), or neither (-2). Records of which not all bytes
 * went out stay claimed; those in a pipe do until they were read. `problem` is '' or the name of an error. write(2)
 */
static napi_value js_ring_deliver(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct ring *ring;
	int output, separator, problem = 0;
	int64_t most;
	if (!read_arguments(env, info, 4, &arguments) || !(ring = ring_argument(&arguments, 0)) ||
	    !int_argument(&arguments, 1, &output) || !int_argument(&arguments, 2, &separator) ||
	    !int64_argument(&arguments, 3, &most))
		return NULL;
	struct framing framing = {.ring = ring, .separator = separator, .most = most > 0 ? (uint64_t)most : 0};
	double written = ring->written;
	framing.position = ring->cursor;
	if (ring->slot < 0)
		return sent_records(env, 0, 0, "");
	while (!problem && framing.position < ring->end && framing.records < (double)framing.most) {
		framing.used = 0;
		if (!guarded(fill_piece, &framing))
			framing.problem = errno;
		if (write_piece(ring, output, framing.used) < 0)
			problem = errno;
		else
			problem = framing.problem;
		if (!problem)
			ring->cursor = framing.position;
		settle_what_was_read(ring, output, separator);
	}
	return sent_records(env, (size_t)(ring->written - written), framing.records, problem ? errno_name(problem) : "");
}

struct reading {
	struct ring *ring;
	uint64_t position;
	uint32_t size;
	uint8_t *to;
	int problem;
};

static void read_size(void *context)
{
	struct reading *reading = context;
	if (!measure(reading->ring, reading->position, reading->ring->end, &reading->size))
		reading->problem = EBADMSG;
}

static void read_record(void *context)
{
	struct reading *reading = context;
	copy_out(reading->ring, (reading->position + 4) % reading->ring->capacity, reading->to, reading->size);
}

/* ringNext(ring) -> the next record that was claimed, undefined after the last; it stays claimed until ringDone. */
static napi_value js_ring_next(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct reading reading = {0};
	napi_value result;
	void *bytes;
	if (!read_arguments(env, info, 1, &arguments) || !(reading.ring = ring_argument(&arguments, 0)))
		return NULL;
	if (reading.ring->slot < 0 || reading.ring->cursor >= reading.ring->end)
		return js_undefined(env);
	reading.position = reading.ring->cursor;
	if (!guarded(read_size, &reading))
		return throw_errno(env, errno, "ring");
	if (reading.problem)
		return throw_errno(env, reading.problem, "ring");
	if (napi_create_buffer(env, reading.size, &bytes, &result) != napi_ok)
		return throw_errno(env, ENOMEM, "malloc");
	reading.to = bytes;
	if (!guarded(read_record, &reading))
		return throw_errno(env, errno, "ring");
	reading.ring->cursor += space_of(reading.size);
	return result;
}

struct stepping {
	struct ring *ring;
	uint64_t count;
};

static void step_over(void *context)
{
	struct stepping *stepping = context;
	struct ring *ring = stepping->ring;
	uint64_t position = ring->start;
	uint32_t size;
	for (; stepping->count > 0 && position < ring->cursor && measure(ring, position, ring->end, &size); stepping->count--)
		position += space_of(size);
	if (position > ring->start)
		settle_until(ring, position);
}

/* ringDone(ring, count): so many of those that ringNext gave are delivered. */
static napi_value js_ring_done(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct stepping stepping = {0};
	int64_t count;
	if (!read_arguments(env, info, 2, &arguments) || !(stepping.ring = ring_argument(&arguments, 0)) ||
	    !int64_argument(&arguments, 1, &count))
		return NULL;
	stepping.count = count > 0 ? (uint64_t)count : 0;
	if (stepping.ring->slot >= 0 && !guarded(step_over, &stepping))
		return throw_errno(env, errno, "ring");
	return js_undefined(env);
}

/*
 * ringRelease(ring, output, separator): the end of receiving. What ringDeliver wrote is delivered, except what the reader
 * of a pipe `output` (-1: none) has left unread; what is not, nor by ringDone, stays in the slot for the next receiver.
 */
static napi_value js_ring_release(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct ring *ring;
	int output, separator;
	if (!read_arguments(env, info, 3, &arguments) || !(ring = ring_argument(&arguments, 0)) ||
	    !int_argument(&arguments, 1, &output) || !int_argument(&arguments, 2, &separator))
		return NULL;
	if (ring->slot < 0)
		return js_undefined(env);
	settle_what_was_read(ring, output, separator);
	/* Where the lock is not to be had, the next receiver frees what is delivered. */
	claim_now(ring, 0, -1, 0, -1);
	give_up_slot(ring);
	return js_undefined(env);
}

static void drop_ring(struct ring *ring)
{
	if (ring->base)
		munmap(ring->base, ring->length);
	free(ring->piece);
	ring->base = NULL;
	ring->piece = NULL;
}

static void finish_ring(napi_env env, void *data, void *hint)
{
	(void)env;
	(void)hint;
	drop_ring(data);
	free(data);
}

/* What the header says, checked: false where the file is no ring of this version, or not as large as it says. */
static bool read_header(struct ring *ring, uint64_t file_bytes)
{
	struct header header;
	if (pread(ring->descriptor, &header, sizeof header, 0) != (ssize_t)sizeof header)
		return false;
	if (memcmp(header.magic, "ipc-ring", 8) != 0 || header.version != VERSION || header.slots < 1 ||
	    header.slots > MOST_SLOTS || header.data % 8 != 0 ||
	    header.data < sizeof header + header.slots * sizeof(struct slot) || header.data > file_bytes ||
	    header.capacity < 8 || header.capacity % 4 != 0 || header.capacity > file_bytes - header.data)
		return false;
	ring->capacity = header.capacity;
	ring->slots = header.slots;
	ring->length = (size_t)(header.data + header.capacity);
	return true;
}

/* ringOpen(descriptor) -> handle; EBADMSG where the file is no ring of this version. The descriptor has to stay open. mmap(2) */
static napi_value js_ring_open(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor;
	struct stat status;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &descriptor))
		return NULL;
	if (fstat(descriptor, &status) != 0)
		return throw_errno(env, errno, "fstat");
	struct ring *ring = calloc(1, sizeof *ring);
	uint8_t *piece = malloc(PIECE);
	if (!ring || !piece) {
		free(ring);
		free(piece);
		return throw_errno(env, ENOMEM, "malloc");
	}
	ring->descriptor = descriptor;
	ring->slot = -1;
	ring->retries.allowed = MOST_TRIES;
	ring->piece = piece;
	int problem = 0;
	if (!read_header(ring, (uint64_t)status.st_size)) {
		problem = EBADMSG;
	} else {
		void *base = mmap(NULL, ring->length, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
		if (base == MAP_FAILED)
			problem = errno;
		else
			ring->header = base, ring->base = base;
	}
	if (problem) {
		drop_ring(ring);
		free(ring);
		return throw_errno(env, problem, "ring");
	}
	ring->data = ring->base + (ring->length - ring->capacity);
	return make_handle(env, ring, &ring_tag, finish_ring);
}

/* ringClose(ring): it cannot be used any more; its slot goes with the descriptor. munmap(2) */
static napi_value js_ring_close(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct ring *ring;
	if (!read_arguments(env, info, 1, &arguments) || !(ring = handle_argument(&arguments, 0, &ring_tag)))
		return NULL;
	drop_ring(ring);
	return js_undefined(env);
}

static const struct export table[] = {
	{"ringOpen", js_ring_open},
	{"ringClose", js_ring_close},
	{"ringSend", js_ring_send},
	{"ringClaim", js_ring_claim},
	{"ringDeliver", js_ring_deliver},
	{"ringNext", js_ring_next},
	{"ringDone", js_ring_done},
	{"ringRelease", js_ring_release},
};

void export_ring(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
