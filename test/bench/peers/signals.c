/*
 * Queued signals with values, by libc: `signals WHAT …`
 *
 *   flood FILE COUNT     sends SIGRTMIN with 0, 1, 2 … to the process whose number stands in FILE, waiting while its
 *                        queue is full
 *   recv FILE COUNT      writes its number into FILE and prints so many: signal, pid, uid and value, a line each
 *   once PID             sends signal 0
 *   ping FILE COUNT      sends one signal at a time, each once the line of the one before has come on stdin
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

static int receive(const char *path, long count)
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
	}
	return fflush(stdout) == 0 ? 0 : fail("stdout");
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "once") == 0)
		return kill(atoi(argv[2]), 0) < 0 ? fail("kill") : 0;
	if (argc != 4)
		return 2;
	long count = atol(argv[3]);
	if (strcmp(argv[1], "recv") == 0)
		return receive(argv[2], count);
	pid_t pid = read_pid(argv[2]);
	for (long i = 0; i < count; i++) {
		char line[256];
		if (send_one(pid, (int)i) != 0)
			return 1;
		if (strcmp(argv[1], "ping") == 0 && !fgets(line, sizeof line, stdin))
			return fail("stdin");
	}
	return 0;
}
