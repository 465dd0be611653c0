/*
 * semaphore post NAME : one unit more
 * semaphore batch [plain] : what `ipc-sem batch` does with `post NAME`, `wait NAME` and `value NAME`
 * semaphore pairs COUNT NAME : COUNT times the lines `wait NAME` and `post NAME`
 * semaphore ask COUNT NAME WORD... : starts such a batch and asks it in turn, one line and one answer at a time, so
 *	often to post and to wait; prints COUNT
 *
 * The batch reads and writes 64 KiB at a time, and writes before it reads again: whoever waits for an answer gets it.
 * The plain one is what one writes first: stdio, and each answer flushed for the same reason.
 */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROOM 65536
#define MOST_ANSWER 32
#define MOST_NAMES 16

static void fail(const char *what)
{
	fprintf(stderr, "semaphore: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* sem_open(3) looks among those that are open already, under a lock; so does this, without one. */
static sem_t *find(const char *name)
{
	static struct {
		char name[256];
		sem_t *semaphore;
	} open[MOST_NAMES];
	static size_t count;
	for (size_t i = 0; i < count; i++)
		if (strcmp(open[i].name, name) == 0)
			return open[i].semaphore;
	if (count == MOST_NAMES)
		return errno = EMFILE, SEM_FAILED;
	sem_t *semaphore = sem_open(name, 0);
	if (semaphore != SEM_FAILED) {
		snprintf(open[count].name, sizeof open[count].name, "%s", name);
		open[count++].semaphore = semaphore;
	}
	return semaphore;
}

static int answer(char *line, char *text)
{
	char *name = strchr(line, ' ');
	if (name)
		*name++ = '\0';
	sem_t *semaphore = name ? find(name) : SEM_FAILED;
	int value;
	if (semaphore == SEM_FAILED)
		return snprintf(text, MOST_ANSWER, "error\n");
	if (strcmp(line, "value") == 0)
		return sem_getvalue(semaphore, &value) == 0 ? snprintf(text, MOST_ANSWER, "%d\n", value) : 0;
	int result = -1;
	if (strcmp(line, "wait") == 0)
		result = sem_wait(semaphore);
	else if (strcmp(line, "post") == 0)
		result = sem_post(semaphore);
	memcpy(text, result == 0 ? "ok\n" : "no\n", 3);
	return 3;
}

static void write_all(int descriptor, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t written = write(descriptor, text, length);
		if (written < 0)
			fail("write");
		text += written;
		length -= (size_t)written;
	}
}

static void batch(void)
{
	static char input[ROOM + 1], output[ROOM];
	size_t held = 0;
	ssize_t count;
	while ((count = read(STDIN_FILENO, input + held, ROOM - held)) > 0) {
		char *line = input, *end = input + held + count, *newline;
		size_t length = 0;
		for (; (newline = memchr(line, '\n', (size_t)(end - line))); line = newline + 1) {
			*newline = '\0';
			if (length + MOST_ANSWER > ROOM) {
				write_all(STDOUT_FILENO, output, length);
				length = 0;
			}
			length += (size_t)answer(line, output + length);
		}
		write_all(STDOUT_FILENO, output, length);
		held = (size_t)(end - line);
		memmove(input, line, held);
	}
	if (count < 0)
		fail("read");
}

static void plain_batch(void)
{
	char *line = NULL, text[MOST_ANSWER];
	size_t room = 0;
	ssize_t length;
	while ((length = getline(&line, &room, stdin)) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (fwrite(text, 1, (size_t)answer(line, text), stdout) == 0 || fflush(stdout) != 0)
			fail("fwrite");
	}
	free(line);
}

/* Made once and written often: what is measured is who reads it. */
static void pairs(long count, const char *name)
{
	static char block[ROOM];
	char pair[600];
	size_t length = (size_t)snprintf(pair, sizeof pair, "wait %s\npost %s\n", name, name);
	long fit = (long)(sizeof block / length);
	for (long i = 0; i < fit; i++)
		memcpy(block + (size_t)i * length, pair, length);
	for (; count > 0; count -= fit)
		write_all(STDOUT_FILENO, block, (size_t)(count < fit ? count : fit) * length);
}

static void ask(long count, const char *name, char **words)
{
	int down[2], up[2];
	if (pipe2(down, O_CLOEXEC) < 0 || pipe2(up, O_CLOEXEC) < 0)
		fail("pipe");
	pid_t pid = fork();
	if (pid < 0)
		fail("fork");
	if (pid == 0) {
		dup2(down[0], STDIN_FILENO);
		dup2(up[1], STDOUT_FILENO);
		execvp(words[0], words);
		fail(words[0]);
	}
	close(down[0]);
	close(up[1]);
	char lines[2][300], reply[ROOM];
	snprintf(lines[0], sizeof lines[0], "post %s\n", name);
	snprintf(lines[1], sizeof lines[1], "wait %s\n", name);
	for (long asked = 0; asked < 2 * count; asked++) {
		const char *line = lines[asked % 2];
		write_all(down[1], line, strlen(line));
		ssize_t length = read(up[0], reply, sizeof reply);
		if (length != 3 || memcmp(reply, "ok\n", 3) != 0) {
			fprintf(stderr, "semaphore: %.*s\n", length > 0 ? (int)length : 0, reply);
			exit(1);
		}
	}
	close(down[1]);
	if (waitpid(pid, NULL, 0) < 0)
		fail("waitpid");
	printf("%ld\n", count);
}

int main(int count, char **words)
{
	if (count == 3 && strcmp(words[1], "post") == 0) {
		sem_t *semaphore = sem_open(words[2], 0);
		if (semaphore == SEM_FAILED || sem_post(semaphore) < 0)
			fail(words[2]);
	} else if (count == 2 && strcmp(words[1], "batch") == 0) {
		batch();
	} else if (count == 3 && strcmp(words[1], "batch") == 0 && strcmp(words[2], "plain") == 0) {
		plain_batch();
	} else if (count == 4 && strcmp(words[1], "pairs") == 0) {
		pairs(strtol(words[2], NULL, 10), words[3]);
	} else if (count > 4 && strcmp(words[1], "ask") == 0) {
		ask(strtol(words[2], NULL, 10), words[3], words + 4);
	} else {
		fputs("usage: semaphore post NAME | batch [plain] | pairs COUNT NAME | ask COUNT NAME WORD...\n", stderr);
		return 2;
	}
	return 0;
}
