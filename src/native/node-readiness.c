/*
 * Descriptors that Node's event loop watches, so that a promise can wait for one without a thread. epoll(7)
 *
 * All of them are in one epoll instance of this environment (the main thread, or one worker), whose own descriptor is a
 * handle of libuv. Node exports libuv, and libuv keeps its ABI within version 1; the headers that we are compiled with do
 * not have it, so what is used of it is declared here. The executable has no event loop of this kind, and no such file.
 */
#include "native.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

struct uv_loop_s;
size_t uv_handle_size(int type);
void *uv_handle_get_data(const void *handle);
void uv_handle_set_data(void *handle, void *data);
int uv_poll_init(struct uv_loop_s *loop, void *handle, int descriptor);
int uv_poll_start(void *handle, int events, void (*callback)(void *handle, int status, int events));
int uv_poll_stop(void *handle);
void uv_close(void *handle, void (*callback)(void *handle));
#define UV_POLL 8
#define UV_READABLE 1

#define MOST_AT_ONCE 64

struct readiness {
	napi_env env;
	napi_ref callback;
	napi_async_context context;
	napi_async_cleanup_hook_handle cleanup;
	void *poll; /* uv_poll_t */
	int epoll;
};

static struct readiness *readiness_of(napi_env env)
{
	void *data = NULL;
	napi_get_instance_data(env, &data);
	return data;
}

/* Calls back with descriptors and their events, in turn. */
static void report(struct readiness *readiness, const struct epoll_event *events, int count)
{
	napi_env env = readiness->env;
	napi_handle_scope scope;
	napi_value pairs, callback, global, error;
	bool has_thrown = false;
	napi_open_handle_scope(env, &scope);
	napi_create_array(env, &pairs);
	for (int i = 0; i < count; i++) {
		napi_set_element(env, pairs, (uint32_t)(2 * i), js_number(env, events[i].data.fd));
		napi_set_element(env, pairs, (uint32_t)(2 * i + 1), js_number(env, events[i].events));
	}
	napi_get_global(env, &global);
	napi_get_reference_value(env, readiness->callback, &callback);
	napi_make_callback(env, readiness->context, global, callback, 1, &pairs, NULL);
	if (napi_is_exception_pending(env, &has_thrown) == napi_ok && has_thrown) {
		napi_get_and_clear_last_exception(env, &error);
		napi_fatal_exception(env, error);
	}
	napi_close_handle_scope(env, scope);
}

static void on_readable(void *poll, int status, int unused)
{
	(void)status, (void)unused;
	struct readiness *readiness = uv_handle_get_data(poll);
	struct epoll_event events[MOST_AT_ONCE];
	int count = epoll_wait(readiness->epoll, events, MOST_AT_ONCE, 0);
	if (count > 0)
		report(readiness, events, count);
}

static void free_readiness(struct readiness *readiness)
{
	close(readiness->epoll);
	free(readiness->poll);
	free(readiness);
}

static void on_closed(void *poll)
{
	struct readiness *readiness = uv_handle_get_data(poll);
	napi_remove_async_cleanup_hook(readiness->cleanup);
	free_readiness(readiness);
}

/* The environment ends: its loop goes on until the handle is closed. */
static void on_cleanup(napi_async_cleanup_hook_handle cleanup, void *data)
{
	struct readiness *readiness = data;
	readiness->cleanup = cleanup;
	napi_async_destroy(readiness->env, readiness->context);
	napi_set_instance_data(readiness->env, NULL, NULL, NULL);
	uv_close(readiness->poll, on_closed);
}

/* 0, or the number of an error. */
static int begin(napi_env env, struct readiness *readiness)
{
	struct uv_loop_s *loop;
	napi_value name;
	readiness->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (readiness->epoll < 0)
		return errno;
	readiness->poll = malloc(uv_handle_size(UV_POLL));
	if (!readiness->poll || napi_get_uv_event_loop(env, &loop) != napi_ok)
		return ENOMEM;
	int result = uv_poll_init(loop, readiness->poll, readiness->epoll);
	if (result != 0)
		return -result;
	readiness->env = env;
	uv_handle_set_data(readiness->poll, readiness);
	napi_create_string_utf8(env, "ipc-tools", NAPI_AUTO_LENGTH, &name);
	napi_async_init(env, NULL, name, &readiness->context);
	napi_set_instance_data(env, readiness, NULL, NULL);
	napi_add_async_cleanup_hook(env, on_cleanup, readiness, NULL);
	return 0;
}

/* openReadiness(callback): which gets the descriptors that are ready, and their events, in turn. epoll_create1(2) */
static napi_value js_open_readiness(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	napi_valuetype type;
	if (!read_arguments(env, info, 1, &arguments))
		return NULL;
	if (napi_typeof(env, arguments.value[0], &type) != napi_ok || type != napi_function)
		return napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "argument 1 must be a function"), NULL;
	struct readiness *readiness = readiness_of(env);
	if (readiness) {
		napi_delete_reference(env, readiness->callback);
	} else {
		readiness = calloc(1, sizeof *readiness);
		if (!readiness)
			return throw_errno(env, ENOMEM, "calloc");
		int number = begin(env, readiness);
		if (number != 0) {
			free_readiness(readiness);
			return throw_errno(env, number, "epoll_create1");
		}
	}
	napi_create_reference(env, arguments.value[0], 1, &readiness->callback);
	return js_undefined(env);
}

/*
 * watchReadiness(descriptor, events, isWatching): no events for no longer. The event loop goes on for as long as `isWatching`
 * is true. epoll_ctl(2)
 */
static napi_value js_watch_readiness(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor, events;
	bool is_watching;
	struct readiness *readiness = readiness_of(env);
	if (!read_arguments(env, info, 3, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !int_argument(&arguments, 1, &events) || !bool_argument(&arguments, 2, &is_watching))
		return NULL;
	if (!readiness)
		return throw_errno(env, EBADF, "epoll_ctl");
	if (is_watching)
		uv_poll_start(readiness->poll, UV_READABLE, on_readable);
	else
		uv_poll_stop(readiness->poll);
	struct epoll_event event = {.events = (uint32_t)events, .data.fd = descriptor};
	/* Where it has been closed the kernel has forgotten it already. */
	if (events == 0)
		epoll_ctl(readiness->epoll, EPOLL_CTL_DEL, descriptor, NULL);
	else if (epoll_ctl(readiness->epoll, EPOLL_CTL_MOD, descriptor, &event) != 0 &&
		 (errno != ENOENT || epoll_ctl(readiness->epoll, EPOLL_CTL_ADD, descriptor, &event) != 0))
		return throw_errno(env, errno, "epoll_ctl");
	return js_undefined(env);
}

static const struct export table[] = {
	{"openReadiness", js_open_readiness},
	{"watchReadiness", js_watch_readiness},
};

void export_readiness(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
