/*
 * Signals: keeping them in the kernel's queue, taking them from there with all they carry, and sending them. signal(7)
 *
 * The system calls themselves with the kernel's own set of 64 bits, since every libc hides some signals of its own.
 */
#include "native.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define HIGHEST 64
#define SET_BYTES 8
#define BIT(number) ((uint64_t)1 << ((number) - 1))
/* Threads need some microseconds to answer; one that has not after this long blocks everything that could reach it. */
#define PATIENCE_NS 2000000000
#define LOOK_NS 50000
/* One that is to be scheduled has been by then, even on a busy machine. */
#define WAKER_NS 1000000000
#define MOST_AT_ONCE 64 /* on the stack: 8 KiB, which may be small */
/* Numbers that readSignals writes for each signal. */
#define FIELDS 6
/* Of the lines of writeSignals, in bytes. */
#define LINE 64
#define LINE_NAME 16

static bool set_argument(struct arguments *arguments, size_t index, uint64_t *set)
{
	int32_t *numbers;
	size_t count;
	if (!int32_array_argument(arguments, index, &numbers, &count))
		return false;
	*set = 0;
	for (size_t i = 0; i < count; i++) {
		if (numbers[i] < 1 || numbers[i] > HIGHEST) {
			napi_throw_range_error(arguments->env, "ERR_OUT_OF_RANGE", "a signal is a number from 1 to 64");
			return false;
		}
		*set |= BIT(numbers[i]);
	}
	return true;
}

/* What the messenger tells a thread to block. Static because a signal handler has nothing else. */
static volatile uint64_t set_to_block;

/* The mask of the interrupted thread is part of what it returns to: changed there, it stays changed. */
static void on_messenger(int number, siginfo_t *info, void *context)
{
	uint64_t mask;
	void *place = &((ucontext_t *)context)->uc_sigmask;
	(void)number;
	(void)info;
	memcpy(&mask, place, SET_BYTES);
	mask |= set_to_block;
	memcpy(place, &mask, SET_BYTES);
}

/* What a thread blocks now: false when it has gone. */
static bool read_blocked(const char *thread, uint64_t *blocked)
{
	char path[64], text[4096];
	snprintf(path, sizeof path, "/proc/self/task/%.20s/status", thread);
	int descriptor = open(path, O_RDONLY | O_CLOEXEC);
	if (descriptor < 0)
		return false;
	ssize_t length = read(descriptor, text, sizeof text - 1);
	close(descriptor);
	text[length > 0 ? length : 0] = 0;
	const char *field = strstr(text, "SigBlk:");
	if (field)
		*blocked = strtoull(field + 7, NULL, 16);
	return field != NULL;
}

/* How many of our threads do not block the set yet; each gets the messenger. -1 when they cannot be listed. */
static int remind_threads(uint64_t set, int messenger)
{
	int left = 0, process = getpid();
	uint64_t blocked;
	DIR *threads = opendir("/proc/self/task");
	if (!threads)
		return -1;
	for (struct dirent *entry; (entry = readdir(threads));) {
		if (!isdigit((unsigned char)entry->d_name[0]) || !read_blocked(entry->d_name, &blocked) ||
		    (blocked & set) == set)
			continue;
		left++;
		syscall(SYS_tgkill, process, atoi(entry->d_name), messenger);
	}
	closedir(threads);
	return left;
}

/*
 * blockSignals(numbers): in every thread there is, and so in all that they will make; ESRCH when one cannot be reached.
 *
 * A signal that is sent to the process may be taken by any thread that does not block it, and Node has a dozen. Only
 * where all block it does it stay in the kernel's queue, in order and with its value, until it is asked for. A thread
 * alone can change its mask, so each is sent a signal whose handler does that. rt_sigprocmask(2), tgkill(2)
 */
static napi_value js_block_signals(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	uint64_t set;
	if (!read_arguments(env, info, 1, &arguments) || !set_argument(&arguments, 0, &set))
		return NULL;
	/* libc's own signals, and those that no process can block. */
	set &= ~(BIT(32) | BIT(33) | BIT(SIGKILL) | BIT(SIGSTOP));
	if (syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, SET_BYTES) < 0)
		return throw_errno(env, errno, "rt_sigprocmask");
	if (!has_other_threads())
		return js_undefined(env);
	struct sigaction action, before;
	memset(&action, 0, sizeof action);
	action.sa_sigaction = on_messenger;
	action.sa_flags = SA_SIGINFO | SA_RESTART;
	sigfillset(&action.sa_mask);
	int messenger = harmless_signal(set);
	set_to_block = set;
	if (sigaction(messenger, &action, &before) < 0)
		return throw_errno(env, errno, "sigaction");
	int64_t deadline = monotonic_ns() + PATIENCE_NS;
	int left = 1;
	/* Twice in a row: one that came up during the first look had its mask from one that was late. */
	for (int clean = 0; clean < 2 && monotonic_ns() < deadline;) {
		left = remind_threads(set, messenger);
		if (left < 0)
			break;
		clean = left == 0 ? clean + 1 : 0;
		if (left > 0)
			nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
	}
	int number = left < 0 ? errno : ESRCH;
	sigaction(messenger, &before, NULL);
	return left != 0 ? throw_errno(env, number, "tgkill") : js_undefined(env);
}

/* signalfd(numbers) -> a non-blocking descriptor from which they are read; they have to be blocked. signalfd(2) */
static napi_value js_signalfd(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	uint64_t set;
	if (!read_arguments(env, info, 1, &arguments) || !set_argument(&arguments, 0, &set))
		return NULL;
	int descriptor = (int)syscall(SYS_signalfd4, -1, &set, SET_BYTES, SFD_NONBLOCK | SFD_CLOEXEC);
	return descriptor < 0 ? throw_errno(env, errno, "signalfd") : js_number(env, descriptor);
}

/* Waits for the first signal, or until `watched` has no reader any more (EPIPE); -1 with ETIMEDOUT or EINTR. */
static int wait_for_signal(int descriptor, int watched, int64_t timeout_ms)
{
	struct pollfd descriptors[2] = {{.fd = descriptor, .events = POLLIN}, {.fd = watched, .events = 0}};
	peer_wait_begin();
	int ready = poll_until(descriptors, 2, timeout_ms);
	peer_wait_end(ready > 0);
	if (ready < 0)
		return -1;
	if (descriptors[1].revents & (POLLERR | POLLHUP)) {
		errno = EPIPE;
		return -1;
	}
	if (ready == 0)
		errno = ETIMEDOUT;
	return ready == 0 ? -1 : 0;
}

/* Takes what is there, `room` at most: how many, or -1 with EAGAIN when there is none. */
static ssize_t take_signals(int descriptor, int32_t *fields, size_t room)
{
	size_t taken = 0;
	while (taken < room) {
		struct signalfd_siginfo signals[MOST_AT_ONCE];
		size_t wanted = room - taken < MOST_AT_ONCE ? room - taken : MOST_AT_ONCE;
		ssize_t bytes = read(descriptor, signals, wanted * sizeof signals[0]);
		if (bytes < 0 && errno == EINTR)
			continue;
		if (bytes < 0)
			return taken > 0 ? (ssize_t)taken : -1;
		size_t count = (size_t)bytes / sizeof signals[0];
		for (size_t i = 0; i < count; i++) {
			int32_t *item = fields + FIELDS * taken++;
			item[0] = (int32_t)signals[i].ssi_signo;
			item[1] = signals[i].ssi_code;
			item[2] = (int32_t)signals[i].ssi_pid;
			item[3] = (int32_t)signals[i].ssi_uid;
			item[4] = signals[i].ssi_int;
			item[5] = signals[i].ssi_code < 0 ? signals[i].ssi_errno : signals[i].ssi_status;
		}
		if (count < wanted)
			break;
	}
	return (ssize_t)taken;
}

/*
 * readSignals(descriptor, fields, most, watched, timeoutMs) -> how many
 *
 * Waits for the first signal (EPIPE when `watched` has no reader any more, EINTR when a caught signal came), then takes
 * what is there, at most `most` and as many as `fields` has room for, six numbers each: signal, code, pid, uid, value,
 * and the status of a child, or the mark of a queued signal. 0 when none came in time. signalfd(2)
 */
static napi_value js_read_signals(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor, watched;
	int32_t *fields;
	size_t room, taken = 0;
	int64_t most, timeout_ms;
	if (!read_arguments(env, info, 5, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !int32_array_argument(&arguments, 1, &fields, &room) || !int64_argument(&arguments, 2, &most) ||
	    !int_argument(&arguments, 3, &watched) || !int64_argument(&arguments, 4, &timeout_ms))
		return NULL;
	if ((uint64_t)most > room / FIELDS)
		most = most < 0 ? 0 : (int64_t)(room / FIELDS);
	/* Read before waiting, since signals that arrive fast are there already. */
	for (;;) {
		ssize_t count = take_signals(descriptor, fields + FIELDS * taken, (size_t)most - taken);
		if (count < 0 && errno != EAGAIN)
			return throw_errno(env, errno, "read");
		taken += count < 0 ? 0 : (size_t)count;
		if (taken > 0 || most == 0)
			break;
		/* Another reader may be quicker once more. */
		if (wait_for_signal(descriptor, watched, timeout_ms) < 0) {
			if (errno == ETIMEDOUT)
				break;
			return throw_errno(env, errno, "poll");
		}
	}
	return js_number(env, (double)taken);
}

static char *put_number(char *at, int64_t number)
{
	char digits[20];
	int count = 0;
	uint64_t rest = (uint64_t)(number < 0 ? -number : number);
	do
		digits[count++] = (char)('0' + rest % 10);
	while (rest /= 10);
	if (number < 0)
		*at++ = '-';
	while (count > 0)
		*at++ = digits[--count];
	return at;
}

/*
 * writeSignals(bytes, fields, count, names) -> how many bytes: a line `SIGNAL pid uid value` for each, with a dash where there is
 * no value. The names have LINE_NAME bytes each, up to a NUL. Each line takes LINE bytes at most.
 */
static napi_value js_write_signals(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes bytes, names;
	int32_t *fields;
	size_t room;
	int64_t count;
	if (!read_arguments(env, info, 4, &arguments) || !bytes_argument(&arguments, 0, &bytes) ||
	    !int32_array_argument(&arguments, 1, &fields, &room) || !int64_argument(&arguments, 2, &count) ||
	    !bytes_argument(&arguments, 3, &names))
		return NULL;
	if (count < 0 || (uint64_t)count > room / FIELDS || (uint64_t)count > bytes.length / LINE)
		return throw_errno(env, EINVAL, "writeSignals");
	char *at = (char *)bytes.data;
	for (const int32_t *item = fields; item < fields + count * FIELDS; item += FIELDS) {
		const size_t name = (size_t)item[0] * LINE_NAME;
		if (item[0] < 0 || name + LINE_NAME > names.length)
			return throw_errno(env, EINVAL, "writeSignals");
		at = stpcpy(at, (const char *)names.data + name);
		*at++ = ' ';
		at = put_number(at, item[2]);
		*at++ = ' ';
		at = put_number(at, (uint32_t)item[3]);
		*at++ = ' ';
		/* As carriesValue in src/objects/signals/received-signal.ts. */
		if (item[1] <= SI_QUEUE && item[1] >= SI_ASYNCIO)
			at = put_number(at, item[4]);
		else
			*at++ = '-';
		*at++ = '\n';
	}
	return js_number(env, (double)(at - (char *)bytes.data));
}

/* The kernel's siginfo_t as rt_sigqueueinfo(2) takes it, on the machines whose `long` has 64 bits. */
struct queued {
	int32_t signal, error, code, padding;
	int32_t pid;
	uint32_t uid;
	union sigval value;
	char rest[128 - 32];
};

/* pid or pidfd, signal, code, sender's pid, sender's uid, value */
static bool read_queued(napi_env env, napi_callback_info info, struct arguments *arguments, int *target,
			struct queued *queued)
{
	int signal, code, pid, value;
	int64_t uid;
	memset(queued, 0, sizeof *queued);
	if (!read_arguments(env, info, 6, arguments) || !int_argument(arguments, 0, target) ||
	    !int_argument(arguments, 1, &signal) || !int_argument(arguments, 2, &code) ||
	    !int_argument(arguments, 3, &pid) || !int64_argument(arguments, 4, &uid) ||
	    !int_argument(arguments, 5, &value))
		return false;
	queued->signal = signal;
	queued->code = code;
	queued->pid = pid;
	queued->uid = (uint32_t)uid;
	queued->value.sival_int = value;
	return true;
}

/*
 * pidfdSendSignal(pidfd, signal, code, pid, uid, value, flags): a code of 0 sends as kill(2) does, a negative one all
 * that is given, as sigqueue(3) does; EAGAIN when the receiver's queue is full. pidfd_send_signal(2)
 */
static napi_value js_pidfd_send_signal(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct queued queued;
	int pidfd, flags;
	if (!read_queued(env, info, &arguments, &pidfd, &queued) || !int_argument(&arguments, 6, &flags))
		return NULL;
	if (syscall(SYS_pidfd_send_signal, pidfd, queued.signal, queued.code ? &queued : NULL, flags) < 0)
		return throw_errno(env, errno, "pidfd_send_signal");
	return js_undefined(env);
}

/*
 * rtSigqueueinfo(pid, signal, code, senderPid, senderUid, value, mark): if there is no pidfd. The mark travels as si_errno, which
 * means nothing in a signal. rt_sigqueueinfo(2)
 */
static napi_value js_rt_sigqueueinfo(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct queued queued;
	int pid, mark;
	if (!read_queued(env, info, &arguments, &pid, &queued) || !int_argument(&arguments, 6, &mark))
		return NULL;
	queued.error = mark;
	if (syscall(SYS_rt_sigqueueinfo, pid, queued.signal, &queued) < 0)
		return throw_errno(env, errno, "rt_sigqueueinfo");
	return js_undefined(env);
}

/* kill(pid, signal); a negative pid is a process group. kill(2) */
static napi_value js_kill(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int pid, signal;
	if (!read_arguments(env, info, 2, &arguments) || !int_argument(&arguments, 0, &pid) ||
	    !int_argument(&arguments, 1, &signal))
		return NULL;
	return kill(pid, signal) < 0 ? throw_errno(env, errno, "kill") : js_undefined(env);
}

/* sigrtmin() -> the first real-time signal that libc leaves to programs: 34, or 35 with musl. signal(7) */
static napi_value js_sigrtmin(napi_env env, napi_callback_info info)
{
	(void)info;
	return js_number(env, SIGRTMIN);
}

/* The state of one of our threads, and what it blocks of the signals 1 to 31; 0 when it has gone. proc(5), /proc/pid/stat */
static char read_thread(int thread, unsigned long *blocked)
{
	char path[64], text[1024], state = 0;
	snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
	int descriptor = open(path, O_RDONLY | O_CLOEXEC);
	if (descriptor < 0)
		return 0;
	ssize_t length = read(descriptor, text, sizeof text - 1);
	close(descriptor);
	text[length > 0 ? length : 0] = 0;
	/* The name may hold anything; the state is field 3, the mask field 32. */
	char *field = strrchr(text, ')');
	for (int number = 2; field && number < 32; number++) {
		field = strchr(field + 1, ' ');
		if (field && number == 2)
			state = field[1];
	}
	*blocked = field ? strtoul(field, NULL, 10) : 0;
	return field ? state : 0;
}

/*
 * mayHaveDebugger() -> whether Node may have opened its debugger's port for a SIGUSR1
 *
 * Node's handler wakes a thread of its own, the one that blocks all signals; that has the main thread interrupted, and
 * there, before its next function of JavaScript, a thread is made that serves the port. So this waits until the
 * waker is asleep, when all that it was woken for has been asked. Asked once more after some function has run, the
 * answer is "no" where no thread has been made after the waker, or else yes: also where there is no such thread, or it does
 * not fall asleep.
 */
static napi_value js_may_have_debugger(napi_env env, napi_callback_info info)
{
	enum { MOST = 256 };
	/* Except KILL and STOP, which no process can block. */
	const unsigned long all = 0x7fffffff & ~(BIT(SIGKILL) | BIT(SIGSTOP));
	int threads[MOST], count = 0, behind = 0;
	unsigned long blocked;
	bool may = true;
	napi_value result;
	(void)info;
	/* The kernel lists them in the order in which they were made. */
	DIR *folder = opendir("/proc/self/task");
	for (struct dirent *entry; folder && count < MOST && (entry = readdir(folder));)
		if (isdigit((unsigned char)entry->d_name[0]))
			threads[count++] = atoi(entry->d_name);
	if (folder)
		closedir(folder);
	for (; count < MOST && behind < count; behind++) {
		int thread = threads[count - 1 - behind];
		char state = read_thread(thread, &blocked);
		if (state == 0 || (blocked & all) != all)
			continue;
		for (int64_t deadline = monotonic_ns() + WAKER_NS; state != 'S' && monotonic_ns() < deadline;) {
			nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
			state = read_thread(thread, &blocked);
		}
		may = behind > 0 || state != 'S';
		break;
	}
	napi_get_boolean(env, may, &result);
	return result;
}

static const struct export table[] = {
	{"blockSignals", js_block_signals},
	{"signalfd", js_signalfd},
	{"readSignals", js_read_signals},
	{"writeSignals", js_write_signals},
	{"pidfdSendSignal", js_pidfd_send_signal},
	{"rtSigqueueinfo", js_rt_sigqueueinfo},
	{"kill", js_kill},
	{"sigrtmin", js_sigrtmin},
	{"mayHaveDebugger", js_may_have_debugger},
};

void export_signal(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
