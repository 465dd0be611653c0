/*
 * Ends a program and what it has started at a given time, unless that time is moved on, and when the process that moves it
 * on has ended, however it did. It works while that process is stopped, too.
 *
 * A watchdog is a process of its own, in a process group of its own, with all signals blocked and no descriptor but a
 * pipe. From the pipe it learns which program it is, and the time. It ends with the program.
 */
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* As many processes as one program may have started; the others live on. */
#define MOST 4096
/* Where the kernel has no pidfd, and a program's end does not show. */
#define LOOK_AGAIN_MS 100
/* Thirty years: what is added to it fits a word. */
#define MOST_LEFT_NS 1e18

/* A process; its number may be given to another one, which has started later. */
struct member {
	pid_t pid;
	unsigned long long started;
};

/* The program and what it has started, as far as that has been looked for. */
struct tree {
	struct member members[MOST];
	size_t count;
};

/* As getdents64(2) has it. */
struct entry {
	uint64_t ino;
	int64_t next;
	uint16_t length;
	uint8_t type;
	char name[];
};

static const struct member *find(const struct tree *tree, pid_t pid)
{
	for (size_t i = 0; i < tree->count; i++)
		if (tree->members[i].pid == pid)
			return &tree->members[i];
	return NULL;
}

/* False where there is no such process. proc(5), /proc/pid/stat */
static bool look_at(pid_t pid, pid_t *parent, unsigned long long *started)
{
	char path[32], text[1024];
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	int descriptor = open(path, O_RDONLY | O_CLOEXEC);
	if (descriptor < 0)
		return false;
	ssize_t length = read(descriptor, text, sizeof text - 1);
	close(descriptor);
	text[length > 0 ? length : 0] = 0;
	/* The name of a program may hold anything. */
	const char *behind = strrchr(text, ')');
	int number;
	if (!behind || sscanf(behind, ") %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			      &number, started) != 2)
		return false;
	*parent = number;
	return true;
}

static void add(struct tree *tree, pid_t pid, unsigned long long started)
{
	if (tree->count < MOST)
		tree->members[tree->count++] = (struct member){pid, started};
}

/* Leaves out the processes that have ended. */
static void prune(struct tree *tree)
{
	size_t kept = 0;
	for (size_t i = 0; i < tree->count; i++) {
		struct member member = tree->members[i];
		pid_t parent;
		unsigned long long started;
		if (look_at(member.pid, &parent, &started) && started == member.started)
			tree->members[kept++] = member;
	}
	tree->count = kept;
}

/* Adds the children of the tree's processes, and sends them this signal; whether there were new ones. */
static bool grow(struct tree *tree, int signal)
{
	_Alignas(struct entry) char buffer[8192];
	size_t before = tree->count;
	int folder = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return false;
	for (;;) {
		long length = syscall(SYS_getdents64, folder, buffer, sizeof buffer);
		if (length <= 0)
			break;
		for (long at = 0; at < length;) {
			const struct entry *entry = (const void *)(buffer + at);
			at += entry->length;
			pid_t pid = (pid_t)atoi(entry->name), parent;
			unsigned long long started;
			if (pid <= 0 || find(tree, pid) || !look_at(pid, &parent, &started) || !find(tree, parent))
				continue;
			kill(pid, signal);
			add(tree, pid, started);
		}
	}
	close(folder);
	return tree->count > before;
}

/* A stopped process starts no other one, and its children remain its children: so none escapes. */
static void end_all(struct tree *tree)
{
	prune(tree);
	for (size_t i = 0; i < tree->count; i++)
		kill(tree->members[i].pid, SIGSTOP);
	while (grow(tree, SIGSTOP))
		;
	for (size_t i = 0; i < tree->count; i++)
		kill(tree->members[i].pid, SIGKILL);
}

/* Tells all to end. The program may do so, and leave others behind that do not. */
static void tell_all(struct tree *tree, int signal)
{
	prune(tree);
	while (grow(tree, 0))
		;
	for (size_t i = 0; i < tree->count; i++)
		kill(tree->members[i].pid, signal);
}

static void close_all_but_stdin(void)
{
#ifdef SYS_close_range
	if (syscall(SYS_close_range, 1, ~0U, 0) == 0)
		return;
#endif
	struct rlimit limit = {.rlim_cur = 1024};
	getrlimit(RLIMIT_NOFILE, &limit);
	for (int descriptor = 1; descriptor < (int)limit.rlim_cur; descriptor++)
		close(descriptor);
}

/* What comes through the pipe, whole. */
struct message {
	int64_t number;     /* the program; or 0; or, negative, a signal for all */
	double deadline_ms; /* where that is 0: when to end all, by CLOCK_MONOTONIC */
};

/* The timer goes on while the machine sleeps. timerfd_create(2), CLOCK_BOOTTIME */
static void set_timer(int timer, double deadline_ms)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	double left_ns = deadline_ms * 1e6 - (double)monotonic_ns();
	if (left_ns > MOST_LEFT_NS)
		left_ns = MOST_LEFT_NS;
	int64_t at_ns = now.tv_sec * (int64_t)1000000000 + now.tv_nsec + (left_ns > 0 ? (int64_t)left_ns : 0);
	struct itimerspec at = {.it_value = {.tv_sec = at_ns / 1000000000, .tv_nsec = at_ns % 1000000000}};
	timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void begin_with(struct tree *tree, pid_t pid)
{
	pid_t parent;
	unsigned long long started;
	if (look_at(pid, &parent, &started))
		add(tree, pid, started);
}

static void watch(void)
{
	struct tree tree = {.count = 0};
	pid_t pid = 0;
	bool was_told = false;
	int timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	struct pollfd wanted[] = {
		{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = timer, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
	for (;;) {
		bool must_look = pid > 0 && wanted[2].fd < 0 && !was_told;
		if (poll(wanted, 3, must_look ? LOOK_AGAIN_MS : -1) < 0)
			continue;
		if (wanted[0].revents) {
			struct message message;
			if (read(STDIN_FILENO, &message, sizeof message) < (ssize_t)sizeof message)
				break;
			if (message.number == -SIGKILL)
				break;
			if (message.number > 0) {
				pid = (pid_t)message.number;
				begin_with(&tree, pid);
				wanted[2].fd = (int)syscall(SYS_pidfd_open, pid, 0);
			} else if (message.number < 0) {
				tell_all(&tree, (int)-message.number);
				/* From now on the end of the program is not the end. */
				was_told = true;
				wanted[2].fd = -1;
			} else
				set_timer(timer, message.deadline_ms);
			/* The time may have been moved on. */
			continue;
		}
		if (wanted[1].revents)
			break;
		if (wanted[2].revents || (must_look && kill(pid, 0) < 0 && errno == ESRCH))
			return;
	}
	end_all(&tree);
}

/*
 * startWatchdog() -> descriptor. What is written there are two 64-bit words. 0, and then, as a floating-point number, when to
 * end all: in milliseconds, by CLOCK_MONOTONIC. Or a negative number, and 0: all get this signal, and are ended when we end.
 * Or the process ID of the program, and 0: a `spawn` with that descriptor writes this.
 */
static napi_value js_start_watchdog(napi_env env, napi_callback_info info)
{
	(void)info;
	int ends[2], number;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return throw_errno(env, errno, "pipe2");
	uint64_t all = ~(uint64_t)0, before;
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
	pid_t pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		prctl(PR_SET_NAME, "ipc-watchdog", 0, 0, 0);
		if (dup2(ends[0], STDIN_FILENO) < 0 || chdir("/") < 0)
			_exit(1);
		close_all_but_stdin();
		watch();
		_exit(0);
	}
	number = errno;
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
	close(ends[0]);
	if (pid < 0) {
		close(ends[1]);
		return throw_errno(env, number, "fork");
	}
	/* A watchdog that is stopped must not stop us. */
	fcntl(ends[1], F_SETFL, O_WRONLY | O_NONBLOCK);
	return js_number(env, ends[1]);
}

static const struct export table[] = {
	{"startWatchdog", js_start_watchdog},
};

void export_watchdog(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
