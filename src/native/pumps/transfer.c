/*
 * Moving bytes between two descriptors: splice(2) where the kernel has it, read(2) and write(2) elsewhere.
 *
 * Neither of the two descriptors needs to be non-blocking, and none is made so: the open file description of a
 * standard stream is shared with other processes. Waiting is done in poll(2) alone.
 */
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define PIECE (1 << 20)      /* bytes asked for at a time: a whole pipe, where pipes are large */
#define COPY_PIECE (1 << 17)  /* and copied at a time between files and pipes: what was just written is still in the cache */
#define MAPPED_PIECE (1 << 19) /* the same through a mapping, which costs more to begin with */
#define SMALL_PIECE (1 << 16) /* below this a move is hardly worth its system call */
#define PAGE 4096
#define PAUSE_NS 100000

struct transfer {
	int in, out, copy_to;
	int64_t slice_end_ns;
	int64_t in_timeout_ms, out_timeout_ms;
	double bytes;
	/* Where in a file to read and to write; negative: wherever it stands, as a pipe has it. */
	int64_t in_offset, out_offset;
	bool stays_within; /* the file that is written to must not grow */
	double most;
	size_t piece;
	const char *failed_call, *failed_side;
};

enum outcome { FAILED, ENDED, SLICE_OVER };

static enum outcome failed(struct transfer *transfer, const char *call, const char *side)
{
	transfer->failed_call = call;
	transfer->failed_side = side;
	return FAILED;
}

/* Milliseconds until the slice is over, rounded up, but not more than the timeout; negative: no limit. */
static int64_t slice_timeout_ms(const struct transfer *transfer, int64_t timeout_ms)
{
	if (transfer->slice_end_ns < 0)
		return timeout_ms;
	int64_t left = (transfer->slice_end_ns - monotonic_ns() + 999999) / 1000000;
	if (left < 0)
		left = 0;
	return timeout_ms >= 0 && timeout_ms < left ? timeout_ms : left;
}

static bool slice_is_over(const struct transfer *transfer)
{
	return transfer->slice_end_ns >= 0 && monotonic_ns() >= transfer->slice_end_ns;
}

/*
 * Until `in` has something (or its end). An output that has lost its reader ends the wait as well: without that a
 * filter whose reader has left would sit there until the next byte comes.
 */
static enum outcome wait_for_input(struct transfer *transfer)
{
	struct pollfd descriptors[2] = {{.fd = transfer->in, .events = POLLIN}, {.fd = transfer->out, .events = 0}};
	int ready = poll_until(descriptors, 2, slice_timeout_ms(transfer, transfer->in_timeout_ms));
	if (ready < 0)
		return failed(transfer, "poll", "in");
	/* A pipe without readers says POLLERR; a socket whose peer has gone, or a terminal that hung up, POLLHUP. */
	if (descriptors[1].revents & (POLLERR | POLLHUP | POLLNVAL)) {
		errno = descriptors[1].revents & POLLNVAL ? EBADF : EPIPE;
		return failed(transfer, "write", "out");
	}
	if (ready > 0)
		return ENDED;
	if (slice_is_over(transfer))
		return SLICE_OVER;
	errno = ETIMEDOUT;
	return failed(transfer, "read", "in");
}

static enum outcome wait_for_room(struct transfer *transfer, int out)
{
	struct pollfd descriptor = {.fd = out, .events = POLLOUT};
	int ready = poll_until(&descriptor, 1, slice_timeout_ms(transfer, transfer->out_timeout_ms));
	if (ready < 0)
		return failed(transfer, "poll", "out");
	if (ready > 0)
		return ENDED;
	if (slice_is_over(transfer))
		return SLICE_OVER;
	errno = ETIMEDOUT;
	return failed(transfer, "write", "out");
}

static enum outcome wait_for_both(struct transfer *transfer)
{
	enum outcome outcome = wait_for_input(transfer);
	return outcome == ENDED ? wait_for_room(transfer, transfer->out) : outcome;
}

/*
 * Many small pieces cost more by splice than by read: each carries a page of its own and wakes a process. A short
 * pause while the reader still has something to do lets them gather; with large pieces, or when the reader is
 * nearly out of work, there is none. (Measured in test/bench.)
 */
static void pause_for_more(int in, ssize_t moved)
{
	int waiting;
	if (moved >= SMALL_PIECE || ioctl(in, FIONREAD, &waiting) < 0 || waiting >= SMALL_PIECE)
		return;
	struct timespec pause = {0, PAUSE_NS};
	nanosleep(&pause, NULL);
}

static enum outcome move_by_splice(struct transfer *transfer, bool *refused)
{
	for (;;) {
		if (take_stop())
			return failed(transfer, "splice", "in");
		ssize_t count = splice(transfer->in, NULL, transfer->out, NULL, PIECE, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (count == 0)
			return ENDED;
		if (count > 0) {
			transfer->bytes += (double)count;
			if (slice_is_over(transfer))
				return SLICE_OVER;
			pause_for_more(transfer->in, count);
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EINVAL) {
			*refused = true;
			return ENDED;
		}
		if (errno == EAGAIN) {
			enum outcome outcome = wait_for_both(transfer);
			if (outcome != ENDED)
				return outcome;
			continue;
		}
		return failed(transfer, "splice", errno == EIO || errno == EISDIR ? "in" : "out");
	}
}

/* One piece to where it belongs: how many bytes went, or -1 with errno. */
static ssize_t put_piece(const struct transfer *transfer, int out, const uint8_t *data, size_t length)
{
	if (out != transfer->out || transfer->out_offset < 0)
		return write(out, data, length);
	if (!transfer->stays_within)
		return pwrite(out, data, length, transfer->out_offset);
	return store_within(out, transfer->out_offset, data, length) ? (ssize_t)length : -1;
}

static enum outcome write_all(struct transfer *transfer, int out, const uint8_t *data, size_t length)
{
	int64_t slice_end_ns = transfer->slice_end_ns;
	enum outcome outcome = ENDED;
	/* What was read has to be written, however long the slice. */
	transfer->slice_end_ns = -1;
	while (length > 0 && outcome == ENDED) {
		if (take_stop()) {
			outcome = failed(transfer, "write", "out");
			break;
		}
		ssize_t count = put_piece(transfer, out, data, length);
		if (count >= 0) {
			data += count;
			length -= (size_t)count;
			if (out == transfer->out)
				transfer->bytes += (double)count;
			if (out == transfer->out && transfer->out_offset >= 0)
				transfer->out_offset += count;
		} else if (errno == EAGAIN) {
			outcome = wait_for_room(transfer, out);
		} else if (errno != EINTR) {
			outcome = failed(transfer, "write", out == transfer->out ? "out" : "copy");
		}
	}
	transfer->slice_end_ns = slice_end_ns;
	return outcome;
}

static enum outcome move_by_copy(struct transfer *transfer)
{
	/* The kernel's pages begin at such an address: a copy between places that differ in it takes 1.4 times as long. */
	uint8_t *buffer = aligned_alloc(PAGE, transfer->piece);
	enum outcome outcome = ENDED;
	if (!buffer) {
		errno = ENOMEM;
		return failed(transfer, "aligned_alloc", "in");
	}
	for (;;) {
		double left = transfer->most - transfer->bytes;
		if (left <= 0)
			break;
		size_t wanted = left < (double)transfer->piece ? (size_t)left : transfer->piece;
		outcome = wait_for_input(transfer);
		if (outcome != ENDED)
			break;
		ssize_t count = transfer->in_offset < 0 ? read(transfer->in, buffer, wanted)
							: pread(transfer->in, buffer, wanted, transfer->in_offset);
		if (count == 0)
			break;
		if (count < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (count < 0) {
			outcome = failed(transfer, "read", "in");
			break;
		}
		if (transfer->in_offset >= 0)
			transfer->in_offset += count;
		if (transfer->copy_to >= 0)
			outcome = write_all(transfer, transfer->copy_to, buffer, (size_t)count);
		if (outcome == ENDED)
			outcome = write_all(transfer, transfer->out, buffer, (size_t)count);
		if (outcome != ENDED)
			break;
		if (slice_is_over(transfer)) {
			outcome = SLICE_OVER;
			break;
		}
	}
	int saved = errno;
	free(buffer);
	errno = saved;
	return outcome;
}

static napi_value transfer_result(napi_env env, const struct transfer *transfer, enum outcome outcome)
{
	napi_value result, ended;
	if (outcome == FAILED)
		return throw_transfer_errno(env, errno, transfer->failed_call, transfer->failed_side, transfer->bytes);
	napi_create_object(env, &result);
	napi_set_named_property(env, result, "bytes", js_number(env, transfer->bytes));
	napi_get_boolean(env, outcome == ENDED, &ended);
	napi_set_named_property(env, result, "ended", ended);
	return result;
}

/*
 * transfer(in, out, copyTo, sliceMs, inTimeoutMs, outTimeoutMs, byCopy) -> {bytes, ended}
 *
 * Moves bytes until `in` ends (ended: true) or the slice is over (ended: false). copyTo gets a copy of all, -1 is
 * none. The timeouts bound each single wait for one side: ETIMEDOUT. A caught signal: EINTR. A negative time is
 * none. byCopy: never share pages between the sides. Errors carry `side` ('in', 'out', 'copy') and the `bytes`
 * moved before. splice(2)
 */
static napi_value js_transfer(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct transfer transfer = {.in_offset = -1, .out_offset = -1, .most = __builtin_inf(), .piece = PIECE};
	int64_t slice_ms;
	bool by_copy;
	if (!read_arguments(env, info, 7, &arguments) || !int_argument(&arguments, 0, &transfer.in) ||
	    !int_argument(&arguments, 1, &transfer.out) || !int_argument(&arguments, 2, &transfer.copy_to) ||
	    !int64_argument(&arguments, 3, &slice_ms) || !int64_argument(&arguments, 4, &transfer.in_timeout_ms) ||
	    !int64_argument(&arguments, 5, &transfer.out_timeout_ms) || !bool_argument(&arguments, 6, &by_copy))
		return NULL;
	transfer.slice_end_ns = slice_ms < 0 ? -1 : monotonic_ns() + slice_ms * 1000000;
	bool refused = by_copy || transfer.copy_to >= 0;
	enum outcome outcome = refused ? ENDED : move_by_splice(&transfer, &refused);
	if (refused)
		outcome = move_by_copy(&transfer);
	return transfer_result(env, &transfer, outcome);
}

/*
 * copyRange(in, inOffset, out, outOffset, most, sliceMs, staysWithin) -> {bytes, ended}
 *
 * The same by read(2) and write(2), or by pread(2) and pwrite(2) where an offset is not negative, until `in` ends or so
 * many bytes have been moved (ended: true). Who shortens a file meanwhile ends the copy and not us. staysWithin: a
 * file that is written to at an offset does not grow, whatever becomes of it meanwhile (ENXIO).
 */
static napi_value js_copy_range(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct transfer transfer = {.copy_to = -1, .in_timeout_ms = -1, .out_timeout_ms = -1, .piece = COPY_PIECE};
	int64_t slice_ms, most;
	if (!read_arguments(env, info, 7, &arguments) || !int_argument(&arguments, 0, &transfer.in) ||
	    !int64_argument(&arguments, 1, &transfer.in_offset) || !int_argument(&arguments, 2, &transfer.out) ||
	    !int64_argument(&arguments, 3, &transfer.out_offset) || !int64_argument(&arguments, 4, &most) ||
	    !int64_argument(&arguments, 5, &slice_ms) || !bool_argument(&arguments, 6, &transfer.stays_within))
		return NULL;
	if (transfer.stays_within)
		transfer.piece = MAPPED_PIECE;
	transfer.most = (double)most;
	transfer.slice_end_ns = slice_ms < 0 ? -1 : monotonic_ns() + slice_ms * 1000000;
	return transfer_result(env, &transfer, move_by_copy(&transfer));
}

/* One pipe to another, for pumpLinks. */
struct link {
	int in, out;
	double bytes;
	bool ended, full;
};

struct pump {
	napi_async_work work;
	napi_deferred deferred;
	int64_t slice_ms;
	size_t count;
	struct link links[];
};

static bool is_readable(int descriptor)
{
	struct pollfd pollfd = {.fd = descriptor, .events = POLLIN};
	return poll(&pollfd, 1, 0) > 0;
}

/* Moves what is there; answers whether anything happened. */
static bool pump_link(struct link *link)
{
	ssize_t count = splice(link->in, NULL, link->out, NULL, PIECE, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	link->full = false;
	if (count > 0) {
		link->bytes += (double)count;
		return true;
	}
	if (count < 0 && errno == EINTR)
		return true;
	if (count < 0 && errno == EAGAIN) {
		link->full = is_readable(link->in);
		return false;
	}
	/* The writer has gone (0), or the reader has (EPIPE): either way the link is done. */
	link->ended = true;
	return true;
}

static void run_pump(napi_env env, void *data)
{
	(void)env;
	struct pump *pump = data;
	int64_t end_ns = monotonic_ns() + pump->slice_ms * 1000000;
	struct pollfd *descriptors = calloc(pump->count, 2 * sizeof *descriptors);
	if (!descriptors)
		return;
	for (bool ended = false; !ended;) {
		bool moved = false;
		for (size_t i = 0; i < pump->count; i++) {
			struct link *link = &pump->links[i];
			if (!link->ended && pump_link(link)) {
				moved = true;
				ended |= link->ended;
			}
		}
		int64_t left = (end_ns - monotonic_ns()) / 1000000;
		if (left <= 0)
			break;
		if (moved)
			continue;
		for (size_t i = 0; i < pump->count; i++) {
			struct link *link = &pump->links[i];
			descriptors[2 * i] = (struct pollfd){.fd = link->full ? -1 : link->in, .events = POLLIN};
			/* Without events asked for, a reader that has left still shows (POLLERR). */
			descriptors[2 * i + 1] = (struct pollfd){.fd = link->out, .events = link->full ? POLLOUT : 0};
		}
		if (poll(descriptors, 2 * pump->count, (int)left) <= 0)
			continue;
		for (size_t i = 0; i < pump->count; i++)
			if (descriptors[2 * i + 1].revents & (POLLERR | POLLHUP))
				ended = pump->links[i].ended = true;
	}
	free(descriptors);
}

static void finish_pump(napi_env env, napi_status status, void *data)
{
	(void)status;
	struct pump *pump = data;
	napi_value result, ended;
	napi_create_array_with_length(env, 2 * pump->count, &result);
	for (size_t i = 0; i < pump->count; i++) {
		napi_get_boolean(env, pump->links[i].ended, &ended);
		napi_set_element(env, result, (uint32_t)(2 * i), js_number(env, pump->links[i].bytes));
		napi_set_element(env, result, (uint32_t)(2 * i + 1), ended);
	}
	napi_resolve_deferred(env, pump->deferred, result);
	napi_delete_async_work(env, pump->work);
	free(pump);
}

/*
 * pumpLinks(pairs, sliceMs) -> promise of [bytes, ended, bytes, ended, …]
 *
 * Moves bytes from the first to the second pipe of each pair, in libuv's pool, until one of the links is done
 * (its writer or its reader has gone) or the slice is over. splice(2)
 */
static napi_value js_pump_links(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t *pairs;
	size_t length;
	int64_t slice_ms;
	napi_value promise, name;
	if (!read_arguments(env, info, 2, &arguments) || !int32_array_argument(&arguments, 0, &pairs, &length) ||
	    !int64_argument(&arguments, 1, &slice_ms))
		return NULL;
	struct pump *pump = calloc(1, sizeof *pump + (length / 2 + 1) * sizeof pump->links[0]);
	if (!pump)
		return throw_errno(env, ENOMEM, "calloc");
	pump->slice_ms = slice_ms;
	pump->count = length / 2;
	for (size_t i = 0; i < pump->count; i++) {
		pump->links[i].in = pairs[2 * i];
		pump->links[i].out = pairs[2 * i + 1];
	}
	napi_create_string_utf8(env, "pumpLinks", NAPI_AUTO_LENGTH, &name);
	if (napi_create_promise(env, &pump->deferred, &promise) != napi_ok ||
	    napi_create_async_work(env, NULL, name, run_pump, finish_pump, pump, &pump->work) != napi_ok ||
	    napi_queue_async_work(env, pump->work) != napi_ok) {
		free(pump);
		return throw_errno(env, ENOMEM, "napi_queue_async_work");
	}
	return promise;
}

static const struct export table[] = {
	{"transfer", js_transfer},
	{"copyRange", js_copy_range},
	{"pumpLinks", js_pump_links},
};

void export_transfer(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
