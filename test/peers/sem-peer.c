/*
 * A stranger at a named semaphore, by libc's own semaphore.h: `sem-peer WHAT NAME …`
 *
 *   create NAME VALUE        makes it
 *   value NAME               prints its value
 *   wait NAME                says `waits`, takes a unit, says `took`
 *   timedwait NAME MS        the same, for so long at most: else says `timeout`
 *   post NAME [COUNT]        gives back COUNT units
 *   hold NAME                takes a unit, says `took`, and gives it back when stdin ends
 *   pairs NAME COUNT [LOG]   says `ready`, then takes and gives back a unit so often (0: until stdin ends); see below
 *   unlink NAME              removes it
 *
 *   work LOG MS              takes nothing; is inside, in the sense below, for so long
 *
 * LOG is a file to which whoever has a unit appends `in PID`, and `out PID` before it gives the unit back. A line is one
 * write to the end of the file, so the lines stand in the order in which things were.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
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

static void log_line(int log, const char *what)
{
	char line[40];
	int length = snprintf(line, sizeof line, "%s %d\n", what, (int)getpid());
	if (write(log, line, (size_t)length) != length)
		exit(fail("write"));
}

static void sleep_ms(long ms)
{
	struct timespec rest = {ms / 1000, ms % 1000 * 1000000};
	while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
		;
}

static int stdin_has_ended(void)
{
	struct pollfd input = {.fd = 0, .events = POLLIN};
	char byte;
	return poll(&input, 1, 0) > 0 && read(0, &byte, 1) <= 0;
}

static int take(sem_t *semaphore)
{
	int result;
	do
		result = sem_wait(semaphore);
	while (result != 0 && errno == EINTR);
	return result;
}

static int pairs(sem_t *semaphore, long count, const char *log_name)
{
	int log = log_name ? open(log_name, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
	if (log_name && log < 0)
		return fail("open");
	puts("ready");
	for (long done = 0; count > 0 ? done < count : !stdin_has_ended(); done++) {
		if (take(semaphore) != 0)
			return fail("sem_wait");
		if (log >= 0) {
			log_line(log, "in");
			sleep_ms(1);
			log_line(log, "out");
		}
		if (sem_post(semaphore) != 0)
			return fail("sem_post");
	}
	return 0;
}

int main(int argc, char **argv)
{
	char name[300];
	if (argc < 3)
		return 2;
	const char *what = argv[1];
	snprintf(name, sizeof name, "/%s", argv[2]);
	setvbuf(stdout, NULL, _IOLBF, 0);

	if (strcmp(what, "work") == 0 && argc == 4) {
		int log = open(argv[2], O_WRONLY | O_CREAT | O_APPEND, 0600);
		if (log < 0)
			return fail("open");
		log_line(log, "in");
		sleep_ms(atol(argv[3]));
		log_line(log, "out");
		return 0;
	}
	if (strcmp(what, "unlink") == 0)
		return sem_unlink(name) != 0 ? fail("sem_unlink") : 0;
	sem_t *semaphore = strcmp(what, "create") == 0 && argc == 4
				   ? sem_open(name, O_CREAT | O_EXCL, 0600, (unsigned)strtoul(argv[3], NULL, 10))
				   : sem_open(name, 0);
	if (semaphore == SEM_FAILED)
		return fail("sem_open");
	if (strcmp(what, "create") == 0)
		return 0;
	if (strcmp(what, "value") == 0) {
		int value;
		if (sem_getvalue(semaphore, &value) != 0)
			return fail("sem_getvalue");
		printf("%d\n", value);
		return 0;
	}
	if (strcmp(what, "wait") == 0) {
		puts("waits");
		if (take(semaphore) != 0)
			return fail("sem_wait");
		puts("took");
		return 0;
	}
	if (strcmp(what, "timedwait") == 0 && argc == 4) {
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		long ms = atol(argv[3]) + until.tv_nsec / 1000000;
		until.tv_sec += ms / 1000;
		until.tv_nsec = ms % 1000 * 1000000;
		puts("waits");
		if (sem_timedwait(semaphore, &until) == 0)
			puts("took");
		else if (errno == ETIMEDOUT)
			puts("timeout");
		else
			return fail("sem_timedwait");
		return 0;
	}
	if (strcmp(what, "post") == 0) {
		for (long count = argc > 3 ? atol(argv[3]) : 1; count > 0; count--)
			if (sem_post(semaphore) != 0)
				return fail("sem_post");
		return 0;
	}
	if (strcmp(what, "hold") == 0) {
		if (take(semaphore) != 0)
			return fail("sem_wait");
		puts("took");
		while (getchar() != EOF)
			;
		return sem_post(semaphore) != 0 ? fail("sem_post") : 0;
	}
	if (strcmp(what, "pairs") == 0 && argc > 3)
		return pairs(semaphore, atol(argv[3]), argc > 4 ? argv[4] : NULL);
	return 2;
}
