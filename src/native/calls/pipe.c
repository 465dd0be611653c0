/* Calls for pipes and FIFOs only. pipe(7), fifo(7) */
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* pipe2(flags) -> [read end, write end], both close-on-exec. pipe2(2) */
static napi_value js_pipe2(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int flags, ends[2];
	napi_value result;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &flags))
		return NULL;
	if (pipe2(ends, flags | O_CLOEXEC) < 0)
		return throw_errno(env, errno, "pipe2");
	napi_create_array_with_length(env, 2, &result);
	napi_set_element(env, result, 0, js_number(env, ends[0]));
	napi_set_element(env, result, 1, js_number(env, ends[1]));
	return result;
}

/* fcntlGetpipeSz(descriptor) -> capacity in bytes. fcntl(2) */
static napi_value js_fcntl_getpipe_sz(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &descriptor))
		return NULL;
	int size = fcntl(descriptor, F_GETPIPE_SZ);
	return size < 0 ? throw_errno(env, errno, "fcntl") : js_number(env, size);
}

/* fcntlSetpipeSz(descriptor, bytes) -> the capacity it has now (rounded up). fcntl(2) */
static napi_value js_fcntl_setpipe_sz(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor, bytes;
	if (!read_arguments(env, info, 2, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !int_argument(&arguments, 1, &bytes))
		return NULL;
	int size = fcntl(descriptor, F_SETPIPE_SZ, bytes);
	return size < 0 ? throw_errno(env, errno, "fcntl") : js_number(env, size);
}

/* ioctlFionread(descriptor) -> unread bytes. ioctl_tty(2), pipe(7) */
static napi_value js_ioctl_fionread(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor, bytes;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &descriptor))
		return NULL;
	return ioctl(descriptor, FIONREAD, &bytes) < 0 ? throw_errno(env, errno, "ioctl") : js_number(env, bytes);
}

static bool read_move(napi_env env, napi_callback_info info, int *from, int *to, int64_t *length)
{
	struct arguments arguments;
	return read_arguments(env, info, 3, &arguments) && int_argument(&arguments, 0, from) &&
	       int_argument(&arguments, 1, to) && int64_argument(&arguments, 2, length);
}

/* tee(from, to, length) -> how many bytes were copied, not taken; 0 without writers, -1 when it would have to wait. tee(2) */
static napi_value js_tee(napi_env env, napi_callback_info info)
{
	int from, to;
	int64_t length;
	if (!read_move(env, info, &from, &to, &length))
		return NULL;
	ssize_t count = tee(from, to, (size_t)length, SPLICE_F_NONBLOCK);
	if (count < 0 && errno != EAGAIN)
		return throw_errno(env, errno, "tee");
	return js_number(env, (double)count);
}

/* splice(from, to, length) -> how many bytes were moved; 0 at the end, -1 when it would have to wait. splice(2) */
static napi_value js_splice(napi_env env, napi_callback_info info)
{
	int from, to;
	int64_t length;
	if (!read_move(env, info, &from, &to, &length))
		return NULL;
	ssize_t count = splice(from, NULL, to, NULL, (size_t)length, SPLICE_F_NONBLOCK);
	if (count < 0 && errno != EAGAIN)
		return throw_errno(env, errno, "splice");
	return js_number(env, (double)count);
}

static const struct export table[] = {
	{"pipe2", js_pipe2},
	{"fcntlGetpipeSz", js_fcntl_getpipe_sz},
	{"fcntlSetpipeSz", js_fcntl_setpipe_sz},
	{"ioctlFionread", js_ioctl_fionread},
	{"tee", js_tee},
	{"splice", js_splice},
};

void export_pipe(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
