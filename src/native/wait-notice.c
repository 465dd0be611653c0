/*
 * A person at a terminal learns what the command waits for: one line on stderr, once. The functions that wait for another process
 * say when they begin and end. The line is written when a wait has lasted long enough, by a thread of its own, since the main
 * one is in the kernel then. Slices of one wait count as one.
 */
#include "native.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char *text;
static size_t text_length;
static int64_t after_ns = -1; /* how long a wait lasts until the line is written; negative: it is not */
static int64_t since_ns;      /* CLOCK_MONOTONIC; 0: no wait */
static bool has_thread;
static bool also_in_background;

/* A shell that has put us in the background has the terminal: the line would end up in what is typed there. tcgetpgrp(3) */
static bool is_in_background(void)
{
	pid_t group = tcgetpgrp(STDERR_FILENO);
	return group > 0 && group != getpgrp();
}

static void *say_in_time(void *unused)
{
	(void)unused;
	for (;;) {
		int64_t after = __atomic_load_n(&after_ns, __ATOMIC_SEQ_CST);
		int64_t since = __atomic_load_n(&since_ns, __ATOMIC_SEQ_CST);
		int64_t now = monotonic_ns();
		if (after < 0)
			return NULL;
		int64_t until = (since ? since : now) + after;
		if (since && now >= until) {
			ssize_t written = 0;
			if (__atomic_exchange_n(&after_ns, -1, __ATOMIC_SEQ_CST) >= 0 && (also_in_background || !is_in_background()))
				written = write(STDERR_FILENO, text, text_length);
			(void)written; /* A stderr without a reader is not a reason to fail. */
			return NULL;
		}
		struct timespec time = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
	}
}

bool peer_wait_begin(void)
{
	if (__atomic_load_n(&after_ns, __ATOMIC_SEQ_CST) < 0)
		return false;
	if (!has_thread)
		has_thread = start_quiet_thread(say_in_time);
	if (__atomic_load_n(&since_ns, __ATOMIC_SEQ_CST) != 0)
		return false;
	__atomic_store_n(&since_ns, monotonic_ns(), __ATOMIC_SEQ_CST);
	return true;
}

void peer_wait_end(bool is_over)
{
	if (is_over)
		__atomic_store_n(&since_ns, 0, __ATOMIC_SEQ_CST);
}

/*
 * announceWait(line, afterMs, alsoInBackground): the line for the waits to come, once; with a negative time no line from now on.
 * write(2)
 */
static napi_value js_announce_wait(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes line;
	int64_t after_ms;
	bool in_background;
	if (!read_arguments(env, info, 3, &arguments) || !bytes_argument(&arguments, 0, &line) ||
	    !int64_argument(&arguments, 1, &after_ms) || !bool_argument(&arguments, 2, &in_background))
		return NULL;
	/* The thread may be writing the text, so there is one for all time. */
	if (after_ms >= 0 && !text) {
		also_in_background = in_background;
		text = malloc(line.length + 1);
		if (!text)
			return throw_errno(env, ENOMEM, "malloc");
		memcpy(text, line.data, line.length);
		text_length = line.length;
	}
	__atomic_store_n(&after_ns, after_ms < 0 ? -1 : after_ms * 1000000, __ATOMIC_SEQ_CST);
	return js_undefined(env);
}

/* waitForPeer(isWaiting): the event loop waits for another process from now on, or no longer. */
static napi_value js_wait_for_peer(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	bool is_waiting;
	if (!read_arguments(env, info, 1, &arguments) || !bool_argument(&arguments, 0, &is_waiting))
		return NULL;
	if (is_waiting)
		peer_wait_begin();
	else
		peer_wait_end(true);
	return js_undefined(env);
}

static const struct export table[] = {
	{"announceWait", js_announce_wait},
	{"waitForPeer", js_wait_for_peer},
};

void export_wait_notice(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
