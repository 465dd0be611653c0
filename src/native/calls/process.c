/* Processes: this one and others. */
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static bool are_shared;

/* shareDescriptors(): a thread of ours uses descriptors from now on, so exit() closes none. */
static napi_value js_share_descriptors(napi_env env, napi_callback_info info)
{
	(void)info;
	are_shared = true;
	return js_undefined(env);
}

/* exit(status): at once; whatever had to be done is done. node-process.c */
static napi_value js_exit(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int status;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &status))
		return NULL;
	if (are_shared)
		_exit(status);
	leave(status);
	return NULL;
}

/* setChildSubreaper(): orphaned descendants become our children. prctl(2), PR_SET_CHILD_SUBREAPER */
static napi_value js_set_child_subreaper(napi_env env, napi_callback_info info)
{
	(void)info;
	return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ? throw_errno(env, errno, "prctl") : js_undefined(env);
}

/* pidfdOpen(pid) -> descriptor. pidfd_open(2) */
static napi_value js_pidfd_open(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int pid;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &pid))
		return NULL;
	int descriptor = (int)syscall(SYS_pidfd_open, pid, 0);
	return descriptor < 0 ? throw_errno(env, errno, "pidfd_open") : js_number(env, descriptor);
}

/* pidfdGetfd(pidfd, descriptor) -> a duplicate of that process's descriptor, close-on-exec. pidfd_getfd(2) */
static napi_value js_pidfd_getfd(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int pidfd, target;
	if (!read_arguments(env, info, 2, &arguments) || !int_argument(&arguments, 0, &pidfd) ||
	    !int_argument(&arguments, 1, &target))
		return NULL;
	int descriptor = (int)syscall(SYS_pidfd_getfd, pidfd, target, 0);
	return descriptor < 0 ? throw_errno(env, errno, "pidfd_getfd") : js_number(env, descriptor);
}

/* What is to be run, and how. */
struct start {
	char **words, **environment;
	bool own_group;
	int terminal;
	int watchdog; /* told of the program before it runs; -1: none */
	int report; /* the pipe for the reason, where it does not start */
};

/*
 * In the child: sets up what a program expects, then runs the program. Returns only if that failed. The child has the
 * parent's memory, while the parent stands still: so it calls only what signal-safety(7) names, and writes nothing but its
 * own variables. No handler of the parent runs here: all signals are blocked until there are no handlers any more.
 */
static int become(const struct start *start)
{
	uint64_t none = 0;
	struct sigaction action = {.sa_flags = 0};
	if (start->own_group && setpgid(0, 0) < 0)
		return errno;
	/* Before the program runs: we may be killed at any moment. */
	if (start->watchdog >= 0) {
		int64_t message[2] = {getpid(), 0};
		if (write(start->watchdog, message, sizeof message) < 0)
			return errno;
	}
	/* Before the program can read from it. All signals are blocked, so SIGTTOU does not stop us. */
	if (start->terminal >= 0)
		tcsetpgrp(start->terminal, getpid());
	for (int number = 1; number <= 64; number++) {
		action.sa_handler = ignored_at_start >> (number - 1) & 1 ? SIG_IGN : SIG_DFL;
		sigaction(number, &action, NULL);
	}
	/* Node has marked them so that nothing is passed on by accident; these are. */
	for (int descriptor = 0; descriptor <= 2; descriptor++)
		fcntl(descriptor, F_SETFD, 0);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
	execvpe(start->words[0], start->words, start->environment);
	return errno;
}

/*
 * Copying the tables of our memory for a child that drops them at once takes longer than all the rest, so the child borrows
 * the memory. vfork(2). A function of its own, which the child never leaves.
 */
static pid_t borrow_and_become(const struct start *start)
{
	pid_t pid = vfork();
	if (pid != 0)
		return pid;
	int number = become(start);
	if (write(start->report, &number, sizeof number) < 0)
		_exit(126);
	_exit(127);
}

/*
 * spawn(words, environment, ownGroup, terminal, watchdog) -> pid
 *
 * Runs a program as execvp(3) finds it, with our standard streams, no signal blocked and none caught; ignored are those that were so for us.
 * `ownGroup`: it leads a process group of its own; `terminal` (-1: none) is where that becomes the one in the
 * foreground. `watchdog` (-1: none) is told of it, see watchdog.c. Our child alone: only waitpid collects its status. vfork(2), execvp(3)
 */
static napi_value js_spawn(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct start start;
	int ends[2], number = 0;
	if (!read_arguments(env, info, 5, &arguments) || !bool_argument(&arguments, 2, &start.own_group) ||
	    !int_argument(&arguments, 3, &start.terminal) || !int_argument(&arguments, 4, &start.watchdog) ||
	    !texts_argument(&arguments, 0, &start.words))
		return NULL;
	if (!start.words[0]) {
		free_texts(start.words);
		return napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "a program is expected"), NULL;
	}
	if (!texts_argument(&arguments, 1, &start.environment)) {
		free_texts(start.words);
		return NULL;
	}
	/*
	 * Whatever keeps the child from becoming the program comes through this pipe; success closes it. Not through memory:
	 * where vfork(2) is not to be had (qemu-user) it is fork(2).
	 */
	if (pipe2(ends, O_CLOEXEC) < 0) {
		number = errno;
		free_texts(start.words);
		free_texts(start.environment);
		return throw_errno(env, number, "pipe2");
	}
	start.report = ends[1];
	uint64_t all = ~(uint64_t)0, before;
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
	pid_t pid = borrow_and_become(&start);
	if (pid < 0)
		number = errno;
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
	close(ends[1]);
	free_texts(start.words);
	free_texts(start.environment);
	ssize_t count = 0;
	if (pid > 0) {
		do
			count = read(ends[0], &number, sizeof number);
		while (count < 0 && errno == EINTR);
		if (count > 0)
			waitpid(pid, NULL, 0);
	}
	close(ends[0]);
	return pid < 0 ? throw_errno(env, number, "fork") : count > 0 ? throw_errno(env, number, "execvp") : js_number(env, pid);
}

/* waitpid(pid, options) -> [pid, status], or undefined when none has changed or there is none. waitpid(2) */
static napi_value js_waitpid(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int pid, options, status = 0;
	napi_value result;
	if (!read_arguments(env, info, 2, &arguments) || !int_argument(&arguments, 0, &pid) ||
	    !int_argument(&arguments, 1, &options))
		return NULL;
	pid_t changed;
	do
		changed = waitpid(pid, &status, options);
	while (changed < 0 && errno == EINTR);
	if (changed < 0 && errno != ECHILD)
		return throw_errno(env, errno, "waitpid");
	if (changed <= 0)
		return js_undefined(env);
	napi_create_array_with_length(env, 2, &result);
	napi_set_element(env, result, 0, js_number(env, changed));
	napi_set_element(env, result, 1, js_number(env, status));
	return result;
}

static const struct export table[] = {
	{"exit", js_exit},
	{"shareDescriptors", js_share_descriptors},
	{"setChildSubreaper", js_set_child_subreaper},
	{"pidfdOpen", js_pidfd_open},
	{"pidfdGetfd", js_pidfd_getfd},
	{"spawn", js_spawn},
	{"waitpid", js_waitpid},
};

void export_process(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
