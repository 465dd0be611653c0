/*
 * Two streams of bytes at once, one each way, as between the standard streams and a connection.
 *
 * Neither may hold up the other: a program that writes its answer while it still reads the question would otherwise
 * wait for us, and we for it. So nothing here blocks but poll(2): splice(2) and send(2) are told not to, and a
 * descriptor that is not ours to make non-blocking gets no more at a time than poll(2) has promised room for.
 */
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PIECE (1 << 20)
#define SMALL_PIECE (1 << 16)
#define PAUSE_NS 100000
#define ROUNDS 16
#define SURE_ROOM 4096 /* what a pipe that is writable takes without blocking: PIPE_BUF */

enum way {
	COPIES = 1,      /* through the buffer, since the kernel cannot splice these two */
	ENDS_OUTPUT = 2, /* at the end of the input the output is shut down for writing */
	MAY_BLOCK = 4,   /* the output blocks, and may not be made otherwise */
	IN_IS_SOCKET = 8,
	OUT_IS_SOCKET = 16,
};

enum phase { OPEN, DRAINING, DONE };

/* One direction. It lies in an array of JavaScript's, so that it outlives a slice. */
struct flow {
	int32_t in, out;
	int32_t way;
	int32_t phase;
	int32_t error;           /* of the side that failed; the flow is done then */
	int32_t error_is_in;
	int32_t offset, filled;  /* what waits in the buffer */
	int32_t separator, most; /* records that may still pass; no separator (-1): no limit */
};

#define FLOW_LENGTH (sizeof(struct flow) / sizeof(int32_t))

struct side {
	struct flow *flow;
	uint8_t *buffer;
	size_t size;
	double bytes;
	bool wants_room; /* else it wants input */
	bool is_blocked; /* it could not move when it was last asked */
};

static bool give_up(struct flow *flow, int error, bool is_in)
{
	flow->error = error;
	flow->error_is_in = is_in;
	flow->phase = DONE;
	return true;
}

static bool finish(struct flow *flow)
{
	if (flow->way & ENDS_OUTPUT)
		shutdown(flow->out, SHUT_WR);
	flow->phase = DONE;
	return true;
}

static bool is_ready(int descriptor, short events)
{
	struct pollfd pollfd = {.fd = descriptor, .events = events};
	return poll(&pollfd, 1, 0) > 0;
}

/* Many small pieces cost more by splice than by read: see transfer.c. */
static void pause_for_more(int in, ssize_t moved)
{
	int waiting;
	if (moved >= SMALL_PIECE || ioctl(in, FIONREAD, &waiting) < 0 || waiting >= SMALL_PIECE)
		return;
	struct timespec pause = {0, PAUSE_NS};
	nanosleep(&pause, NULL);
}

/* Each step answers whether anything happened. */
static bool step_by_splice(struct side *side)
{
	struct flow *flow = side->flow;
	ssize_t count = splice(flow->in, NULL, flow->out, NULL, PIECE, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (count > 0) {
		side->bytes += (double)count;
		pause_for_more(flow->in, count);
		return true;
	}
	if (count == 0)
		return finish(flow);
	if (errno == EINTR)
		return true;
	if (errno == EINVAL) {
		flow->way |= COPIES;
		return true;
	}
	if (errno == EAGAIN) {
		side->wants_room = is_ready(flow->in, POLLIN);
		return false;
	}
	return give_up(flow, errno, errno == EIO || errno == EISDIR || ((flow->way & IN_IS_SOCKET) && errno != EPIPE));
}

/* After the wanted number of records the rest is not needed. */
static size_t within_limit(struct flow *flow, const uint8_t *data, size_t length)
{
	for (size_t at = 0; flow->separator >= 0 && at < length;) {
		const uint8_t *end = memchr(data + at, flow->separator, length - at);
		if (!end)
			break;
		at = (size_t)(end - data) + 1;
		if (--flow->most == 0) {
			flow->phase = DRAINING;
			return at;
		}
	}
	return length;
}

static bool has_enough(const struct flow *flow)
{
	return flow->separator >= 0 && flow->most == 0;
}

static bool fill(struct side *side)
{
	struct flow *flow = side->flow;
	ssize_t count;
	side->wants_room = false;
	if (flow->way & IN_IS_SOCKET)
		count = recv(flow->in, side->buffer, side->size, MSG_DONTWAIT);
	else if (is_ready(flow->in, POLLIN))
		count = read(flow->in, side->buffer, side->size);
	else
		return false;
	if (count > 0) {
		flow->offset = 0;
		flow->filled = (int32_t)within_limit(flow, side->buffer, (size_t)count);
		return true;
	}
	if (count == 0)
		return finish(flow);
	if (errno == EAGAIN || errno == EINTR)
		return errno == EINTR;
	return give_up(flow, errno, true);
}

static bool drain(struct side *side)
{
	struct flow *flow = side->flow;
	const uint8_t *data = side->buffer + flow->offset;
	size_t length = (size_t)(flow->filled - flow->offset);
	ssize_t count;
	side->wants_room = true;
	if (flow->way & OUT_IS_SOCKET) {
		count = send(flow->out, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	} else {
		if ((flow->way & MAY_BLOCK) && length > SURE_ROOM)
			length = SURE_ROOM;
		if ((flow->way & MAY_BLOCK) && !is_ready(flow->out, POLLOUT))
			return false;
		count = write(flow->out, data, length);
	}
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return errno == EINTR;
	if (count < 0)
		return give_up(flow, errno, false);
	side->bytes += (double)count;
	flow->offset += (int32_t)count;
	if (flow->offset == flow->filled && flow->phase == DRAINING)
		return finish(flow);
	return true;
}

static bool step(struct side *side)
{
	struct flow *flow = side->flow;
	if (flow->phase == DONE)
		return false;
	if (!(flow->way & COPIES))
		return step_by_splice(side);
	return flow->offset < flow->filled ? drain(side) : fill(side);
}

/* No process reads the output: no reason to wait for input. */
static void look_at_output(struct side *side, short events)
{
	if (side->flow->phase != DONE && !side->wants_room && (events & (POLLERR | POLLHUP | POLLNVAL)))
		give_up(side->flow, events & POLLNVAL ? EBADF : EPIPE, false);
}

/* Answers the number that are ready; 0 when the time was over, -1 with EINTR when a signal wants an end. */
static int wait_for_both(struct side sides[2], int64_t timeout_ms)
{
	struct pollfd descriptors[4];
	for (size_t i = 0; i < 2; i++) {
		const struct flow *flow = sides[i].flow;
		bool waits = flow->phase != DONE;
		descriptors[2 * i] = (struct pollfd){.fd = waits && !sides[i].wants_room ? flow->in : -1, .events = POLLIN};
		descriptors[2 * i + 1] =
			(struct pollfd){.fd = waits ? flow->out : -1, .events = sides[i].wants_room ? POLLOUT : 0};
	}
	int ready = poll_until(descriptors, 4, timeout_ms);
	if (ready > 0)
		for (size_t i = 0; i < 2; i++)
			if (!(descriptors[2 * i].revents & POLLIN))
				look_at_output(&sides[i], descriptors[2 * i + 1].revents);
	return ready;
}

/*
 * moveDuplex(flows, buffer, sliceMs, silenceMs) -> {there, back, quiet}
 *
 * Two flows of ten numbers each (struct flow), which are kept up to date; half of the buffer is for each. Returns when
 * the first flow has just ended, when the second has passed as many records as it may, when both have ended, after the
 * slice, and (quiet: true) when nothing has moved for `silenceMs`. there and back are bytes that went out. splice(2), send(2), recv(2), poll(2)
 */
static napi_value js_move_duplex(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes buffer;
	int32_t *numbers;
	size_t count;
	int64_t slice_ms, silence_ms;
	if (!read_arguments(env, info, 4, &arguments) || !int32_array_argument(&arguments, 0, &numbers, &count) ||
	    !bytes_argument(&arguments, 1, &buffer) || !int64_argument(&arguments, 2, &slice_ms) ||
	    !int64_argument(&arguments, 3, &silence_ms))
		return NULL;
	if (count != 2 * FLOW_LENGTH || buffer.length < 2 || buffer.length > INT32_MAX)
		return napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "two flows and a buffer expected"), NULL;
	struct flow *flows = (struct flow *)(void *)numbers;
	size_t half = buffer.length / 2;
	struct side sides[2] = {
		{.flow = &flows[0], .buffer = buffer.data, .size = half},
		{.flow = &flows[1], .buffer = buffer.data + half, .size = half},
	};
	for (size_t i = 0; i < 2; i++)
		if (flows[i].offset < 0 || flows[i].filled < flows[i].offset || (size_t)flows[i].filled > half)
			return napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "outside the buffer"), NULL;
	int64_t slice_end_ns = slice_ms < 0 ? -1 : monotonic_ns() + slice_ms * 1000000;
	bool first_was_open = flows[0].phase != DONE, is_quiet = false;
	/* Without a limit of its own a silence still ends with the slice. */
	int64_t timeout_ms = silence_ms < 0 || (slice_ms >= 0 && slice_ms < silence_ms) ? slice_ms : silence_ms;
	unsigned round = 0;
	while (flows[0].phase != DONE || flows[1].phase != DONE) {
		if (take_stop())
			return throw_errno(env, EINTR, "poll");
		/* While one side moves, the other is asked now and then: each asking is a system call. */
		bool asks_all = round++ % ROUNDS == 0;
		for (size_t i = 0; i < 2; i++)
			if (asks_all || !sides[i].is_blocked)
				sides[i].is_blocked = !step(&sides[i]);
		if (first_was_open && flows[0].phase == DONE)
			break;
		if (flows[1].phase == DONE && has_enough(&flows[1]))
			break;
		if (!sides[0].is_blocked || !sides[1].is_blocked) {
			if (slice_end_ns >= 0 && monotonic_ns() >= slice_end_ns)
				break;
			continue;
		}
		int ready = wait_for_both(sides, timeout_ms);
		if (ready < 0)
			return throw_errno(env, errno, "poll");
		if (ready == 0) {
			is_quiet = timeout_ms == silence_ms;
			break;
		}
		sides[0].is_blocked = sides[1].is_blocked = false;
	}
	napi_value result, quiet;
	napi_create_object(env, &result);
	napi_set_named_property(env, result, "there", js_number(env, sides[0].bytes));
	napi_set_named_property(env, result, "back", js_number(env, sides[1].bytes));
	napi_get_boolean(env, is_quiet, &quiet);
	napi_set_named_property(env, result, "quiet", quiet);
	return result;
}

static const struct export table[] = {
	{"moveDuplex", js_move_duplex},
};

void export_duplex(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
