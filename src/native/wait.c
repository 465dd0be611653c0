/*
 * Waiting in the kernel on the main thread, and still being able to stop.
 *
 * A blocking call must end on two occasions of ours: its deadline, and a signal that was caught so that something
 * can be cleaned up. One timer serves both: when it fires it sends SIGURG to the main thread, the call returns
 * EINTR, and the caller asks wait_goes_on().
 *
 * Why a timer and not just the signal itself: the kernel may hand a signal to any of Node's threads, where it
 * interrupts nothing of interest; and one that arrives between the check and the call would be lost. So the timer
 * is bound to the main thread (SIGEV_THREAD_ID) and fires again every few milliseconds until the signal is noticed.
 * Why SIGURG: without our handler it is ignored, so a late one does no harm. Where the user waits for SIGURG itself it
 * is blocked, and another one has to do.
 *
 * Why sometimes a thread: RLIMIT_SIGPENDING counts timers together with queued signals. A user whose queue is full gets no
 * timer, and then a thread sends the signal at the same times.
 *
 * The state is static because a signal handler has no other.
 */
#include "native.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define AGAIN_NS 5000000 /* how often a nudge is repeated until it was noticed */

static volatile sig_atomic_t caught_signal; /* the first one, for good */
static volatile sig_atomic_t not_taken[65];  /* by number: it came, and was not asked for yet */
static volatile sig_atomic_t stop_pending;  /* one came, and no wait has ended for it yet */
uint64_t ignored_at_start;
static bool can_nudge;
static int timer_id;
static int main_thread, nudge_signal;

/* What the thread has to do, if there is one. */
static bool has_thread;
static int64_t nudge_ns = -1; /* CLOCK_MONOTONIC; negative: not at all */
static uint32_t nudge_changes;

/* The kernel's own layout: neither libc names the thread member portably (timer_create(2)). */
struct kernel_sigevent {
	union sigval value;
	int signal;
	int notify;
	int thread;
	int padding[11];
};

#define NOTIFY_THREAD 4 /* SIGEV_THREAD_ID */

static void nudge_at(int64_t deadline_ns)
{
	if (has_thread) {
		__atomic_store_n(&nudge_ns, deadline_ns, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&nudge_changes, 1, __ATOMIC_SEQ_CST);
		futex_wake(&nudge_changes, 1);
		return;
	}
	struct itimerspec when;
	memset(&when, 0, sizeof when);
	if (deadline_ns >= 0) {
		when.it_value.tv_sec = deadline_ns / 1000000000;
		when.it_value.tv_nsec = deadline_ns % 1000000000 + (deadline_ns == 0);
		when.it_interval.tv_nsec = AGAIN_NS;
	}
	syscall(SYS_timer_settime, timer_id, TIMER_ABSTIME, &when, NULL);
}

static void on_nudge(int number)
{
	(void)number;
}

static void on_signal(int number)
{
	int saved = errno;
	if (!caught_signal)
		caught_signal = number;
	not_taken[number] = 1;
	stop_pending = 1;
	nudge_at(0);
	errno = saved;
}

int harmless_signal(uint64_t unfit)
{
	/* Signals that are ignored unless handled; then any that has a handler now does no harm either. */
	static const int ignored[] = {SIGURG, SIGWINCH, SIGCONT, SIGCHLD};
	for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
		if (!(unfit >> (ignored[i] - 1) & 1))
			return ignored[i];
	for (int number = SIGRTMAX; number >= SIGRTMIN; number--)
		if (!(unfit >> (number - 1) & 1))
			return number;
	return SIGURG;
}

/* Nudges as the timer does: at nudge_ns, and then every few milliseconds until that changes. */
static void *run_thread(void *unused)
{
	(void)unused;
	for (;;) {
		uint32_t changes = __atomic_load_n(&nudge_changes, __ATOMIC_SEQ_CST);
		int64_t next_ns = __atomic_load_n(&nudge_ns, __ATOMIC_SEQ_CST);
		if (next_ns >= 0 && next_ns <= monotonic_ns()) {
			syscall(SYS_tgkill, getpid(), main_thread, nudge_signal);
			next_ns = monotonic_ns() + AGAIN_NS;
		}
		futex_sleep(&nudge_changes, changes, next_ns);
	}
	return NULL;
}

bool start_quiet_thread(void *(*body)(void *))
{
	sigset_t all, before;
	pthread_t thread;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int number = pthread_create(&thread, NULL, body, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = number;
	return number == 0;
}

static bool need_nudge(void)
{
	if (can_nudge)
		return true;
	uint64_t blocked = 0;
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &blocked, sizeof blocked);
	nudge_signal = harmless_signal(blocked);
	main_thread = (int)syscall(SYS_gettid);
	struct kernel_sigevent event;
	memset(&event, 0, sizeof event);
	event.signal = nudge_signal;
	event.notify = NOTIFY_THREAD;
	event.thread = main_thread;
	if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer_id) != 0 && !(has_thread = start_quiet_thread(run_thread)))
		return false;
	struct sigaction action;
	memset(&action, 0, sizeof action);
	action.sa_handler = on_nudge; /* no SA_RESTART: to interrupt is all it is for */
	sigaction(nudge_signal, &action, NULL);
	can_nudge = true;
	return true;
}

int64_t monotonic_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Each signal ends one wait: what is done to clean up afterwards may wait as well. */
bool take_stop(void)
{
	if (!stop_pending)
		return false;
	stop_pending = 0;
	nudge_at(-1);
	errno = EINTR;
	return true;
}

void wait_begin(struct wait *wait, int64_t timeout_ms)
{
	wait->deadline_ns = -1;
	wait->is_over = false;
	if (timeout_ms < 0)
		return;
	wait->deadline_ns = monotonic_ns() + timeout_ms * 1000000;
	if (need_nudge())
		nudge_at(wait->deadline_ns);
}

bool wait_allows(struct wait *wait)
{
	if (wait->is_over)
		return false;
	if (take_stop()) {
		wait->is_over = true;
	} else if (wait->deadline_ns >= 0 && monotonic_ns() >= wait->deadline_ns) {
		errno = ETIMEDOUT;
		wait->is_over = true;
	}
	return !wait->is_over;
}

bool wait_goes_on(struct wait *wait)
{
	return errno == EINTR && wait_allows(wait);
}

void wait_end(struct wait *wait)
{
	int saved = errno;
	if (can_nudge && wait->deadline_ns >= 0)
		nudge_at(stop_pending ? 0 : -1);
	errno = saved;
}

#define SLEEPS_BETWEEN_PROBES 64

int tries_now(const struct retries *retries)
{
	return retries->sleeps % SLEEPS_BETWEEN_PROBES == SLEEPS_BETWEEN_PROBES - 1 ? MOST_TRIES : retries->allowed;
}

void learn_from(struct retries *retries, bool was_in_vain)
{
	if (was_in_vain) {
		retries->allowed = retries->allowed > 1 ? retries->allowed / 2 : 1;
		retries->sleeps++;
	} else if (retries->allowed < MOST_TRIES) {
		retries->allowed = retries->allowed < MOST_TRIES / 2 ? 2 * retries->allowed : MOST_TRIES;
	}
}

int poll_until(struct pollfd *descriptors, size_t count, int64_t timeout_ms)
{
	struct wait wait = {.deadline_ns = timeout_ms < 0 ? -1 : monotonic_ns() + timeout_ms * 1000000};
	for (;;) {
		if (take_stop())
			return -1;
		struct timespec rest = {0, 0};
		if (wait.deadline_ns >= 0) {
			int64_t left = wait.deadline_ns - monotonic_ns();
			if (left > 0) {
				rest.tv_sec = left / 1000000000;
				rest.tv_nsec = left % 1000000000;
			}
		}
		int ready = ppoll(descriptors, count, wait.deadline_ns < 0 ? NULL : &rest, NULL);
		/* The time is valid: so there are more than RLIMIT_NOFILE. poll(2) */
		if (ready < 0 && errno == EINVAL)
			errno = EMFILE;
		if (ready >= 0 || errno != EINTR)
			return ready;
	}
}

/*
 * catchSignals(numbers): from now on these end our waits instead of the process, except for those that were ignored when it
 * began. sigaction(2)
 */
static napi_value js_catch_signals(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t *numbers;
	size_t count;
	if (!read_arguments(env, info, 1, &arguments) || !int32_array_argument(&arguments, 0, &numbers, &count))
		return NULL;
	if (!need_nudge())
		return throw_errno(env, errno, "timer_create");
	for (size_t i = 0; i < count; i++) {
		if (ignored_at_start >> (numbers[i] - 1) & 1)
			continue;
		struct sigaction action;
		memset(&action, 0, sizeof action);
		action.sa_handler = on_signal;
		if (sigaction(numbers[i], &action, NULL) != 0)
			return throw_errno(env, errno, "sigaction");
	}
	return js_undefined(env);
}

/* caughtSignal(): the number of the first one caught, 0 when there was none. */
static napi_value js_caught_signal(napi_env env, napi_callback_info info)
{
	(void)info;
	return js_number(env, caught_signal);
}

/* takeCaughtSignals() -> the numbers of those caught since it was last asked. sigaction(2) */
static napi_value js_take_caught_signals(napi_env env, napi_callback_info info)
{
	(void)info;
	napi_value numbers;
	uint32_t count = 0;
	napi_create_array(env, &numbers);
	for (int number = 1; number <= 64; number++) {
		if (!not_taken[number])
			continue;
		not_taken[number] = 0;
		napi_set_element(env, numbers, count++, js_number(env, number));
	}
	return numbers;
}

/* defaultSignal(number): from now on its default action, whatever handled it before. signal(7) */
static napi_value js_default_signal(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int number;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &number))
		return NULL;
	return signal(number, SIG_DFL) == SIG_ERR ? throw_errno(env, errno, "signal") : js_undefined(env);
}

/* raiseSignal(number): its default action, now; returns only where that is to ignore it. signal(7) */
static napi_value js_raise_signal(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int number;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &number))
		return NULL;
	struct sigaction action;
	memset(&action, 0, sizeof action);
	action.sa_handler = SIG_DFL;
	/* Fails for KILL and STOP, which need no help. */
	sigaction(number, &action, NULL);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	if (raise(number) != 0)
		return throw_errno(env, errno, "raise");
	return js_undefined(env);
}

static const struct export table[] = {
	{"catchSignals", js_catch_signals},
	{"caughtSignal", js_caught_signal},
	{"takeCaughtSignals", js_take_caught_signals},
	{"defaultSignal", js_default_signal},
	{"raiseSignal", js_raise_signal},
};

void export_wait(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
