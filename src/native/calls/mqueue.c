/*
 * POSIX message queues. mq_overview(7)
 *
 * The system calls themselves, not libc's wrappers: the same addon then serves every libc. On Linux a queue's
 * descriptor is a file descriptor, so poll(2) waits for it.
 */
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The kernel's struct mq_attr: all long, with room to grow. */
struct attributes {
	long flags, maxmsg, msgsize, curmsgs, reserved[4];
};

/* What was learnt holds for the process, so it is static. */
static struct retries retries = {.allowed = MOST_TRIES};

/* A name behind a slash, as libc passes it: the kernel wants the name alone, qemu-user looks for the slash in front of it. */
static bool name_argument(struct arguments *arguments, size_t index, char **slash)
{
	char *name;
	if (!text_argument(arguments, index, &name))
		return false;
	bool is_made = asprintf(slash, "/%s", name) >= 0;
	free(name);
	if (!is_made)
		throw_errno(arguments->env, ENOMEM, "malloc");
	return is_made;
}

/* mqOpen(name, flags, mode, maxmsg, msgsize) -> descriptor, non-blocking. A maxmsg of 0 leaves both to the system. mq_open(3) */
static napi_value js_mq_open(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int flags, mode;
	int64_t maxmsg, msgsize;
	char *slash;
	if (!read_arguments(env, info, 5, &arguments) || !int_argument(&arguments, 1, &flags) ||
	    !int_argument(&arguments, 2, &mode) || !int64_argument(&arguments, 3, &maxmsg) ||
	    !int64_argument(&arguments, 4, &msgsize) || !name_argument(&arguments, 0, &slash))
		return NULL;
	struct attributes attributes = {.maxmsg = (long)maxmsg, .msgsize = (long)msgsize};
	const struct attributes *wanted = maxmsg ? &attributes : NULL;
	int descriptor = (int)syscall(SYS_mq_open, slash + 1, flags | O_NONBLOCK | O_CLOEXEC, mode, wanted);
	free(slash);
	return descriptor < 0 ? throw_errno(env, errno, "mq_open") : js_number(env, descriptor);
}

/* mqUnlink(name). mq_unlink(3) */
static napi_value js_mq_unlink(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	char *slash;
	if (!read_arguments(env, info, 1, &arguments) || !name_argument(&arguments, 0, &slash))
		return NULL;
	long result = syscall(SYS_mq_unlink, slash + 1);
	free(slash);
	return result < 0 ? throw_errno(env, errno, "mq_unlink") : js_undefined(env);
}

/* mqGetattr(descriptor) -> {maxmsg, msgsize, curmsgs}. mq_getattr(3) */
static napi_value js_mq_getattr(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor;
	struct attributes attributes;
	napi_value result;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &descriptor))
		return NULL;
	if (syscall(SYS_mq_getsetattr, descriptor, NULL, &attributes) < 0)
		return throw_errno(env, errno, "mq_getattr");
	napi_create_object(env, &result);
	napi_set_named_property(env, result, "maxmsg", js_number(env, (double)attributes.maxmsg));
	napi_set_named_property(env, result, "msgsize", js_number(env, (double)attributes.msgsize));
	napi_set_named_property(env, result, "curmsgs", js_number(env, (double)attributes.curmsgs));
	return result;
}

/* Waits until the queue is ready, or until `watched` has no reader any more (EPIPE); -1 with ETIMEDOUT or EINTR. */
static int wait_for_queue(int descriptor, short events, int watched, int64_t timeout_ms)
{
	struct pollfd descriptors[2] = {{.fd = descriptor, .events = events}, {.fd = watched, .events = 0}};
	peer_wait_begin();
	int ready = poll_until(descriptors, 2, timeout_ms);
	peer_wait_end(ready > 0);
	if (ready < 0)
		return -1;
	if (descriptors[1].revents & (POLLERR | POLLHUP)) {
		errno = EPIPE;
		return -1;
	}
	if (ready == 0) {
		errno = ETIMEDOUT;
		return -1;
	}
	return 0;
}

static int send_one(int descriptor, const uint8_t *data, size_t length, unsigned priority, int64_t timeout_ms)
{
	for (;;) {
		int most = tries_now(&retries);
		for (int tries = 0; tries < most; tries++) {
			if (syscall(SYS_mq_timedsend, descriptor, data, length, priority, NULL) == 0) {
				if (tries > 0)
					learn_from(&retries, false);
				return 0;
			}
			if (errno != EAGAIN || timeout_ms == 0)
				return -1;
		}
		learn_from(&retries, true);
		if (wait_for_queue(descriptor, POLLOUT, -1, timeout_ms) < 0)
			return -1;
	}
}

static ssize_t receive_one(int descriptor, uint8_t *data, size_t length, unsigned *priority, int watched,
			   int64_t timeout_ms)
{
	for (;;) {
		int most = tries_now(&retries);
		for (int tries = 0; tries < most; tries++) {
			ssize_t count = syscall(SYS_mq_timedreceive, descriptor, data, length, priority, NULL);
			if (count >= 0 || errno != EAGAIN || timeout_ms == 0) {
				if (count >= 0 && tries > 0)
					learn_from(&retries, false);
				return count;
			}
		}
		learn_from(&retries, true);
		if (wait_for_queue(descriptor, POLLIN, watched, timeout_ms) < 0)
			return -1;
	}
}

/*
 * mqSendRecords(descriptor, bytes, start, end, separator, priority, timeoutMs) -> {used, records, problem}
 *
 * Sends every whole record of the range. `used` counts bytes from `start`; `problem` is '' or the error's name, such
 * as 'EAGAIN' (full, and the timeout is 0), 'ETIMEDOUT', 'EINTR' or 'EMSGSIZE'. mq_send(3)
 */
static napi_value js_mq_send_records(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor, separator, priority;
	int64_t start, end, timeout_ms;
	struct bytes bytes;
	if (!read_arguments(env, info, 7, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !bytes_argument(&arguments, 1, &bytes) || !int64_argument(&arguments, 2, &start) ||
	    !int64_argument(&arguments, 3, &end) || !int_argument(&arguments, 4, &separator) ||
	    !int_argument(&arguments, 5, &priority) || !int64_argument(&arguments, 6, &timeout_ms))
		return NULL;
	if (start < 0 || end < start || (uint64_t)end > bytes.length)
		return napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "outside the buffer"), NULL;
	const uint8_t *data = bytes.data + start;
	size_t length = (size_t)(end - start), used = 0, body, size, next;
	double records = 0;
	while (find_record(data + used, length - used, separator, &body, &size, &next)) {
		if (send_one(descriptor, data + used + body, size, (unsigned)priority, timeout_ms) < 0)
			return sent_records(env, used, records, errno_name(errno));
		used += next;
		records++;
	}
	return sent_records(env, used, records, "");
}

/* mqSend(descriptor, bytes, priority, timeoutMs): one message; EAGAIN, ETIMEDOUT, EINTR, EMSGSIZE. mq_send(3) */
static napi_value js_mq_send(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor, priority;
	int64_t timeout_ms;
	struct bytes bytes;
	if (!read_arguments(env, info, 4, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !bytes_argument(&arguments, 1, &bytes) || !int_argument(&arguments, 2, &priority) ||
	    !int64_argument(&arguments, 3, &timeout_ms))
		return NULL;
	if (send_one(descriptor, bytes.data, bytes.length, (unsigned)priority, timeout_ms) < 0)
		return throw_errno(env, errno, "mq_send");
	return js_undefined(env);
}

/*
 * mqReceiveRecords(descriptor, bytes, msgsize, separator, most, watched, timeoutMs, index) -> how many messages
 *
 * Waits for the first message (EPIPE when `watched` has no reader any more, ETIMEDOUT, EINTR), then receives up to `most` messages, as long as the buffer has
 * room for one more. Each is framed by the separator, or by its length before it (-1), or not at all (-2). `index`
 * gets three numbers a message: where its content starts in the buffer, its length, its priority. mq_receive(3)
 */
static napi_value js_mq_receive_records(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor, separator, watched;
	int64_t msgsize, most, timeout_ms;
	struct bytes bytes;
	int32_t *index;
	size_t room;
	if (!read_arguments(env, info, 8, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !bytes_argument(&arguments, 1, &bytes) || !int64_argument(&arguments, 2, &msgsize) ||
	    !int_argument(&arguments, 3, &separator) || !int64_argument(&arguments, 4, &most) ||
	    !int_argument(&arguments, 5, &watched) || !int64_argument(&arguments, 6, &timeout_ms) ||
	    !int32_array_argument(&arguments, 7, &index, &room))
		return NULL;
	size_t before = separator == -1 ? 4 : 0, behind = separator >= 0 ? 1 : 0, used = 0, messages = 0;
	if (msgsize < 0 || (uint64_t)msgsize + 4 > bytes.length)
		return napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "the buffer holds no message"), NULL;
	while ((int64_t)messages < most && 3 * messages + 3 <= room &&
	       used + before + (size_t)msgsize + behind <= bytes.length) {
		unsigned priority;
		uint8_t *start = bytes.data + used + before;
		/* Wait only for the first: messages already received must not be delayed. */
		ssize_t count = receive_one(descriptor, start, (size_t)msgsize, &priority, watched,
					    messages == 0 ? timeout_ms : 0);
		if (count < 0 && messages == 0 && errno != EAGAIN)
			return throw_errno(env, errno, "mq_receive");
		if (count < 0)
			break;
		if (separator == -1)
			for (int i = 0; i < 4; i++)
				bytes.data[used + (size_t)i] = (uint8_t)((size_t)count >> (24 - 8 * i));
		else if (separator >= 0)
			start[count] = (uint8_t)separator;
		index[3 * messages] = (int32_t)(used + before);
		index[3 * messages + 1] = (int32_t)count;
		index[3 * messages + 2] = (int32_t)priority;
		used += before + (size_t)count + behind;
		messages++;
	}
	return js_number(env, (double)messages);
}

/* rlimitMsgqueue() -> soft limit in bytes; Infinity if there is none. getrlimit(2) */
static napi_value js_rlimit_msgqueue(napi_env env, napi_callback_info info)
{
	(void)info;
	struct rlimit limit;
	if (getrlimit(RLIMIT_MSGQUEUE, &limit) < 0)
		return throw_errno(env, errno, "getrlimit");
	return js_number(env, limit.rlim_cur == RLIM_INFINITY ? __builtin_inf() : (double)limit.rlim_cur);
}

#ifndef SYS_fsopen
#define SYS_fsopen 430
#define SYS_fsconfig 431
#define SYS_fsmount 432
#endif
#define FSCONFIG_CREATE 6

/* mountMqueue() -> a folder descriptor of the mqueue file system that is not mounted anywhere. fsopen(2), fsmount(2) */
static napi_value js_mount_mqueue(napi_env env, napi_callback_info info)
{
	(void)info;
	int context = (int)syscall(SYS_fsopen, "mqueue", 1 /* FSOPEN_CLOEXEC */);
	if (context < 0)
		return throw_errno(env, errno, "fsopen");
	if (syscall(SYS_fsconfig, context, FSCONFIG_CREATE, NULL, NULL, 0) < 0) {
		int number = errno;
		close(context);
		return throw_errno(env, number, "fsconfig");
	}
	int folder = (int)syscall(SYS_fsmount, context, 1 /* FSMOUNT_CLOEXEC */, 0);
	int number = errno;
	close(context);
	return folder < 0 ? throw_errno(env, number, "fsmount") : js_number(env, folder);
}

static const struct export table[] = {
	{"mqOpen", js_mq_open},
	{"mqUnlink", js_mq_unlink},
	{"mqGetattr", js_mq_getattr},
	{"mqSend", js_mq_send},
	{"mqSendRecords", js_mq_send_records},
	{"mqReceiveRecords", js_mq_receive_records},
	{"rlimitMsgqueue", js_rlimit_msgqueue},
	{"mountMqueue", js_mount_mqueue},
};

void export_mqueue(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
