/*
 * A stranger who sends and receives signals, by libc's own signal.h: `signal-peer WHAT …`, signals by number
 *
 *   receive SIGNAL COUNT         says `ready`, then takes COUNT signals with sigwaitinfo(2): signal, pid, uid, value, code
 *   queue PID SIGNAL VALUE       sigqueue(3); prints `EAGAIN` when the queue is full
 *   burst PID SIGNAL COUNT       sigqueue(3) with 0, 1, 2 …, as fast as it can, waiting while the queue is full
 *   ignore SIGNAL                ignores it, says `ready` and waits until it is ended
 *   hold SIGNAL                  blocks it, says `ready`; takes one for each line of stdin, and at its end prints how
 *                                many there were in all
 *   become SIGNAL PROGRAM ARG …  becomes that program, with the signal blocked and sent to it already
 *   stop SIGNAL                  catches it, says `ready`, and ends with status 7 when it comes
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static void on_signal(int number)
{
	(void)number;
	_exit(7);
}

static int say_ready(void)
{
	return puts("ready") < 0 || fflush(stdout) != 0 ? fail("stdout") : 0;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	const char *what = argv[1];
	sigset_t set;
	sigemptyset(&set);
	if (strcmp(what, "queue") == 0 && argc == 5) {
		if (sigqueue(atoi(argv[2]), atoi(argv[3]), (union sigval){.sival_int = atoi(argv[4])}) == 0)
			return 0;
		if (errno != EAGAIN)
			return fail("sigqueue");
		puts("EAGAIN");
		return 3;
	}
	if (strcmp(what, "burst") == 0 && argc == 5) {
		for (int i = 0; i < atoi(argv[4]); i++)
			while (sigqueue(atoi(argv[2]), atoi(argv[3]), (union sigval){.sival_int = i}) < 0) {
				if (errno != EAGAIN)
					return fail("sigqueue");
				sched_yield();
			}
		return 0;
	}
	int number = atoi(argv[2]);
	sigaddset(&set, number);
	if (strcmp(what, "become") == 0 && argc > 3) {
		sigprocmask(SIG_BLOCK, &set, NULL);
		kill(getpid(), number);
		execvp(argv[3], argv + 3);
		return fail(argv[3]);
	}
	if (strcmp(what, "receive") == 0 && argc == 4) {
		sigprocmask(SIG_BLOCK, &set, NULL);
		if (say_ready() != 0)
			return 1;
		for (int i = 0; i < atoi(argv[3]); i++) {
			siginfo_t info;
			if (sigwaitinfo(&set, &info) < 0)
				return fail("sigwaitinfo");
			printf("%d %d %d %d %d\n", info.si_signo, info.si_pid, info.si_uid, info.si_value.sival_int, info.si_code);
			fflush(stdout);
		}
		return 0;
	}
	if (strcmp(what, "ignore") == 0 || strcmp(what, "stop") == 0) {
		signal(number, what[0] == 'i' ? SIG_IGN : on_signal);
		if (say_ready() != 0)
			return 1;
		for (;;)
			pause();
	}
	if (strcmp(what, "hold") == 0) {
		int count = 0;
		sigprocmask(SIG_BLOCK, &set, NULL);
		if (say_ready() != 0)
			return 1;
		while (getchar() != EOF)
			count += sigwaitinfo(&set, NULL) > 0;
		while (sigtimedwait(&set, NULL, &(struct timespec){0, 0}) > 0)
			count++;
		printf("%d\n", count);
		return 0;
	}
	return 2;
}
