/*
 * How a child that Node runs has really ended. waitid(2)
 *
 * Node knows the signals up to 31 by name, and takes a child that was ended by another one (a real-time signal) for one
 * that succeeded. So its end is looked at before libuv collects it: libuv does that in its loop, after its handler of
 * SIGCHLD has written to a pipe, and ours comes before that handler. (Where a child ends in the very moment in which
 * libuv collects another, libuv may be quicker; then Node's answer has to do.)
 *
 * The state is static because a signal handler has no other.
 */
#include "native.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define MOST 2048

static struct child {
	int pid; /* 0: free */
	int end; /* 0 while it lives; else 1 + its status, or -1 - the signal */
} children[MOST];

static struct sigaction before;

static void look(struct child *child)
{
	siginfo_t info;
	info.si_pid = 0;
	int pid = __atomic_load_n(&child->pid, __ATOMIC_ACQUIRE);
	if (pid == 0 || __atomic_load_n(&child->end, __ATOMIC_RELAXED) != 0 ||
	    waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != pid)
		return;
	int end = info.si_code == CLD_EXITED ? 1 + info.si_status : -1 - info.si_status;
	__atomic_store_n(&child->end, end, __ATOMIC_RELAXED);
}

static void on_child(int number, siginfo_t *info, void *context)
{
	int saved = errno;
	for (size_t i = 0; i < MOST; i++)
		look(&children[i]);
	if (before.sa_flags & SA_SIGINFO)
		before.sa_sigaction(number, info, context);
	else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
		before.sa_handler(number);
	errno = saved;
}

/* watchChild(pid): call it before Node's loop continues. At most 2048 at a time; others are left to Node. waitid(2) */
static napi_value js_watch_child(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int pid;
	struct sigaction now;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &pid))
		return NULL;
	if (sigaction(SIGCHLD, NULL, &now) != 0)
		return throw_errno(env, errno, "sigaction");
	for (size_t i = 0; i < MOST; i++) {
		struct child *child = &children[i];
		if (child->pid != 0)
			continue;
		child->end = 0;
		__atomic_store_n(&child->pid, pid, __ATOMIC_RELEASE);
		/* libuv removes its handler with its last child, and installs it again with the next. */
		if (!(now.sa_flags & SA_SIGINFO) || now.sa_sigaction != on_child) {
			before = now;
			now.sa_flags = (now.sa_flags | SA_SIGINFO | SA_RESTART) & ~SA_RESETHAND;
			now.sa_sigaction = on_child;
			if (sigaction(SIGCHLD, &now, NULL) != 0)
				return throw_errno(env, errno, "sigaction");
		}
		look(child);
		break;
	}
	return js_undefined(env);
}

/* childEnd(pid) -> the status that waitpid(2) would return for a watched child that has ended; undefined if it is unknown. */
static napi_value js_child_end(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int pid;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &pid))
		return NULL;
	for (size_t i = 0; i < MOST; i++) {
		struct child *child = &children[i];
		if (pid == 0 || child->pid != pid)
			continue;
		int end = __atomic_load_n(&child->end, __ATOMIC_RELAXED);
		__atomic_store_n(&child->pid, 0, __ATOMIC_RELEASE);
		if (end == 0)
			break;
		return js_number(env, end > 0 ? (end - 1) << 8 : -1 - end);
	}
	return js_undefined(env);
}

static const struct export table[] = {
	{"watchChild", js_watch_child},
	{"childEnd", js_child_end},
};

void export_child(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
