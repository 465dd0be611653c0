/*
 * Queued signals with values, by libc: `signals WHAT …`
 *
 *   flood FILE COUNT     sends SIGRTMIN with 0, 1, 2 … to the process whose number stands in FILE, waiting while its
 *                        queue is full
 *   recv FILE COUNT      writes its number into FILE and prints COUNT signals: signal, pid, uid and value, a line each
 *   recv FILE COUNT flush    the same, each as soon as it has come
 *   ping FILE COUNT FIFO     sends one signal at a time, each once the line of the one before has come through FIFO
 *   once PID             sends signal 0
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static pid_t read_pid(const char *path)
{
	int pid = 0;
	FILE *file = fopen(path, "r");
	if (!file || fscanf(file, "%d", &pid) != 1)
		exit(fail(path));
	fclose(file);
	return pid;
}

static int send_one(pid_t pid, int value)
{
	while (sigqueue(pid, SIGRTMIN, (union sigval){.sival_int = value}) < 0) {
		if (errno != EAGAIN)
			return fail("sigqueue");
		sched_yield();
	}
	return 0;
}

static int receive(const char *path, long count, int flushes)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	FILE *file = fopen(path, "w");
	if (!file)
		return fail(path);
	fprintf(file, "%d\n", getpid());
	fclose(file);
	for (long i = 0; i < count; i++) {
		siginfo_t info;
		if (sigwaitinfo(&set, &info) < 0)
			return fail("sigwaitinfo");
		printf("RTMIN %d %d %d\n", info.si_pid, info.si_uid, info.si_value.sival_int);
		if (flushes)
			fflush(stdout);
	}
	return fflush(stdout) == 0 ? 0 : fail("stdout");
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "once") == 0)
		return kill(atoi(argv[2]), 0) < 0 ? fail("kill") : 0;
	if (argc < 4)
		return 2;
	long count = atol(argv[3]);
	if (strcmp(argv[1], "recv") == 0)
		return receive(argv[2], count, argc == 5);
	pid_t pid = read_pid(argv[2]);
	FILE *lines = argc == 5 ? fopen(argv[4], "r") : NULL;
	if (argc == 5 && !lines)
		return fail(argv[4]);
	for (long i = 0; i < count; i++) {
		char line[256];
		if (send_one(pid, (int)i) != 0)
			return 1;
		if (lines && !fgets(line, sizeof line, lines))
			return fail(argv[4]);
	}
	return 0;
}
