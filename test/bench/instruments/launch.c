/*
 * launch WORD... : runs one program, all its standard streams but stderr on /dev/null, and writes to descriptor 3 how
 * long it took from spawn to wait, how it ended and how much memory it held at most.
 *
 * A small program rather than Node's spawn, for two reasons: Node's event loop between start and end adds a noise of
 * milliseconds to what is measured in milliseconds; and the peak of a process counts what it held before exec(2), which
 * is a copy of its parent.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static void fail(const char *what, int error)
{
	fprintf(stderr, "launch: %s: %s\n", what, strerror(error));
	exit(125);
}

static long long now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(int count, char **words)
{
	posix_spawn_file_actions_t actions;
	struct rusage usage;
	pid_t pid;
	int status;
	if (count < 2) {
		fputs("usage: launch WORD...\n", stderr);
		return 125;
	}
	fcntl(3, F_SETFD, FD_CLOEXEC);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	long long start = now_ns();
	int error = posix_spawnp(&pid, words[1], &actions, NULL, words + 1, environ);
	if (error)
		fail(words[1], error);
	while (wait4(pid, &status, 0, &usage) < 0)
		if (errno != EINTR)
			fail("wait4", errno);
	long long end = now_ns();
	dprintf(3, "{\"elapsedNs\":%lld,\"stages\":[{\"status\":%d,\"peakKib\":%ld}]}\n", end - start,
		WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), usage.ru_maxrss);
	return 0;
}
