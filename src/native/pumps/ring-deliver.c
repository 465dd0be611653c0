/* Handing out the records that a receiver has claimed: to a descriptor, or one by one. */
#include "ring.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static void copy_out(const struct ring *ring, uint64_t at, uint8_t *to, size_t length)
{
	/* An empty record has no memory to copy to. */
	if (length == 0)
		return;
	size_t first = length < ring->capacity - at ? length : (size_t)(ring->capacity - at);
	memcpy(to, ring->data + at, first);
	if (first < length)
		memcpy(to + first, ring->data, length - first);
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
		ring_settle_read(ring, output, separator);
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
		ring_settle_until(ring, position);
}

/* ringDone(ring, count): the first `count` records that ringNext returned are delivered. */
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

const struct export ring_deliver_table[] = {
	{"ringDeliver", js_ring_deliver},
	{"ringNext", js_ring_next},
	{"ringDone", js_ring_done},
};
