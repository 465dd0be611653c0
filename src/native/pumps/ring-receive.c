/* Receiving from a ring: slots, taking over those of dead receivers, and what counts as delivered. */
#include "ring.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

struct claiming {
	struct ring *ring;
	uint64_t most;
	int problem;
	bool has_any, lacks_slot;
};

void ring_settle_until(struct ring *ring, uint64_t position)
{
	ring->start = position;
	store(&ring->header->slot[ring->slot].start, position);
}

/* Everything that was handed out is settled, and so the slot is empty where all was. */
static void settle_all(struct ring *ring)
{
	if (ring->slot < 0 || ring->start >= ring->cursor)
		return;
	ring_settle_until(ring, ring->cursor);
	ring->settled = ring->written;
}

static void give_up_slot(struct ring *ring)
{
	if (ring->slot >= 0)
		ring_unlock(ring, LOCK_OF_SLOT + ring->slot);
	ring->slot = -1;
	ring->start = ring->cursor = ring->end = 0;
}

/* Takes over a slot that a dead receiver left with records in it. */
static bool take_over(struct claiming *claiming, uint64_t head, uint64_t tail)
{
	struct ring *ring = claiming->ring;
	for (uint32_t i = 0; i < ring->slots; i++) {
		struct slot *slot = &ring->header->slot[i];
		if ((int)i == ring->slot || load(&slot->start) >= load(&slot->end))
			continue;
		if (ring_lock(ring, LOCK_OF_SLOT + (int)i, 0) < 0)
			continue;
		uint64_t start = load(&slot->start), end = load(&slot->end);
		if (start >= end) { /* its owner was done, and left just now */
			ring_unlock(ring, LOCK_OF_SLOT + (int)i);
			continue;
		}
		if (!is_sound(ring, head, start, tail) || end > tail || end % 4 != 0) {
			ring_unlock(ring, LOCK_OF_SLOT + (int)i);
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
		if (load(&slot->start) >= load(&slot->end) && ring_lock(ring, LOCK_OF_SLOT + (int)i, 0) == 0)
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
		ring_settle_until(ring, claim);
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
		ring_wake(&header->senders_wait);
	}
}

enum { NONE, ANY, NO_SLOT };

/* Holding the lock of receivers: what there is in our slot, or -1 with errno. A `most` of 0 only frees what is delivered. */
static int claim_now(struct ring *ring, uint64_t most, int watched, int64_t timeout_ms, int64_t deadline_ns)
{
	struct claiming claiming = {.ring = ring, .most = most};
	if (ring_lock_patiently(ring, LOCK_OF_RECEIVERS, watched, timeout_ms, deadline_ns) < 0)
		return -1;
	if (!guarded(claim_records, &claiming))
		claiming.problem = errno;
	ring_unlock(ring, LOCK_OF_RECEIVERS);
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

size_t framed_size(int separator, uint32_t size)
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
		ring_settle_until(ring, position);
}

bool ring_settle_read(struct ring *ring, int output, int separator)
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
 * Takes up to `most` records, left behind by a receiver that is gone or else new, waiting for the first. EPIPE when no
 * process reads `output` (-1: none) any more, ENOENT when the ring is empty and has been removed, EBADMSG, EFAULT, EINTR.
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
		bool is_unread = output >= 0 && ring_settle_read(ring, output, separator);
		result = claim_now(ring, most > 0 ? (uint64_t)most : 1, output, timeout_ms, deadline_ns);
		/* Who must not wait, or not any longer, has found none: there may be some, but not for us now. */
		if (result < 0 && errno == ETIMEDOUT)
			result = NONE;
		if (result < 0 || result == ANY || timeout_ms == 0)
			break;
		int64_t slice_ms = ring_slice_until(deadline_ns);
		if (slice_ms == 0)
			break;
		if (take_stop()) {
			result = -1;
			break;
		}
		/* A reader of the pipe wakes no process, though a full ring may wait for it; a receiver that frees a slot wakes none either. */
		if ((is_unread || result == NO_SLOT) && moment_ms < slice_ms)
			slice_ms = moment_ms;
		moment_ms = moment_ms < SLICE_MS / 2 ? 2 * moment_ms : SLICE_MS;
		if (result == NO_SLOT)
			result = poll_until(NULL, 0, slice_ms) < 0 ? -1 : ring_look_around(ring, output);
		else
			result = ring_wait(ring, 0, output, slice_ms);
		if (result < 0)
			break;
		/* Another receiver may need the slot. */
		if (result == 0 && ring->slot >= 0 && ring->start >= ring->end)
			give_up_slot(ring);
	}
	if (result < 0)
		return throw_errno(env, errno, "ring");
	napi_get_boolean(env, result == ANY, &has_any);
	return has_any;
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
	ring_settle_read(ring, output, separator);
	/* Where the lock is not to be had, the next receiver frees what is delivered. */
	claim_now(ring, 0, -1, 0, -1);
	give_up_slot(ring);
	return js_undefined(env);
}

const struct export ring_receive_table[] = {
	{"ringClaim", js_ring_claim},
	{"ringRelease", js_ring_release},
};
