/* Sending records into a ring. */
#include "ring.h"

#include <errno.h>
#include <string.h>

static void copy_in(struct ring *ring, uint64_t at, const uint8_t *from, size_t length)
{
	/* The bytes of an empty record may be at NULL, which memcpy(3) must not get. */
	if (length == 0)
		return;
	size_t first = length < ring->capacity - at ? length : (size_t)(ring->capacity - at);
	memcpy(ring->data + at, from, first);
	if (first < length)
		memcpy(ring->data, from + first, length - first);
}

struct sending {
	struct ring *ring;
	const uint8_t *data;
	size_t length;
	int separator;
	size_t used;
	double records;
	uint64_t need; /* not 0: bytes of room that the next record needs */
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
			ring_wake(&header->receivers_wait);
		}
	}
	if (tail != published) {
		store(&header->tail, tail);
		ring_wake(&header->receivers_wait);
	}
}

/*
 * No receiver gets what was sent to a ring that has been removed, unless a receiver that has it open has taken all of it:
 * that may well be the one that has removed it. ENOENT, or EFAULT.
 */
static bool is_of_use(struct ring *ring)
{
	if (ring_look_around(ring, -1) == 0)
		return true;
	int problem = errno;
	int ready = problem == ENOENT ? ring_is_ready(ring, 0, NULL) : 1;
	errno = problem;
	return ready == 0;
}

/*
 * ringSend(ring, bytes, start, end, separator, timeoutMs) -> {used, records, problem}
 *
 * Sends every whole record of the range: told apart by a separating byte, by a length before each (-1), or all of it as
 * one (-2). `problem` is '' or the name of the error: EAGAIN (no room, and the timeout is 0), ETIMEDOUT, EINTR, EMSGSIZE
 * (larger than the ring), EBADMSG (the ring is damaged), EFAULT (it was cut), ENOENT (it was removed while full, or with
 * records in it that no receiver has taken: those of the last piece do not count then).
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
		if (take_stop() || ring_lock_patiently(ring, LOCK_OF_SENDERS, -1, timeout_ms, deadline_ns) < 0)
			return sent_records(env, sending.used, before, errno_name(errno));
		if (!guarded(put_records, &sending))
			sending.problem = errno;
		ring_unlock(ring, LOCK_OF_SENDERS);
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
			int64_t slice_ms = ring_slice_until(deadline_ns);
			if (slice_ms == 0)
				return sent_records(env, sending.used, sending.records, errno_name(ETIMEDOUT));
			ready = ring_wait(ring, sending.need, -1, slice_ms);
			if (ready < 0)
				return sent_records(env, sending.used, sending.records, errno_name(errno));
		}
	}
}

const struct export ring_send_table[] = {
	{"ringSend", js_ring_send},
};
