/*
 * socket send|recv PATH splice|copy : stdin to the process that connects to PATH, or what comes from there to stdout, by splice(2)
 * or through a buffer. Pipes of 1 MiB, a send buffer of 4 MiB: about the most that a local stream socket gives.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PIECE (1 << 20)
#define SMALL_PIECE (1 << 16)

static void check(bool worked, const char *what)
{
	if (worked)
		return;
	perror(what);
	exit(1);
}

static int open_connection(bool listens, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int one = socket(AF_UNIX, SOCK_STREAM, 0), size = 4 << 20;
	strncpy(address.sun_path, path, sizeof address.sun_path - 1);
	if (listens) {
		unlink(path);
		check(bind(one, (struct sockaddr *)&address, sizeof address) == 0 && listen(one, 1) == 0, path);
		one = accept(one, NULL, NULL);
		check(one >= 0, "accept");
		unlink(path);
	} else {
		const struct timespec pause = {0, 1000000};
		while (connect(one, (struct sockaddr *)&address, sizeof address) != 0)
			nanosleep(&pause, NULL);
	}
	if (setsockopt(one, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0)
		setsockopt(one, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	return one;
}

/* A splice that waits for a socket keeps the pipe locked meanwhile, and its reader with it: so the waiting is done before. */
static ssize_t move_some(int in, int out)
{
	struct pollfd pollfd = {.fd = in, .events = POLLIN};
	poll(&pollfd, 1, -1);
	return splice(in, NULL, out, NULL, PIECE, SPLICE_F_MOVE);
}

static void move(int in, int out)
{
	const struct timespec pause = {0, 100000};
	ssize_t moved;
	int waiting;
	while ((moved = move_some(in, out)) > 0)
		if (moved < SMALL_PIECE && ioctl(in, FIONREAD, &waiting) == 0 && waiting < SMALL_PIECE)
			nanosleep(&pause, NULL);
	check(moved == 0, "splice");
}

static void copy(int in, int out)
{
	static char buffer[PIECE];
	ssize_t count;
	while ((count = read(in, buffer, sizeof buffer)) > 0)
		for (ssize_t at = 0; at < count;) {
			ssize_t written = write(out, buffer + at, (size_t)(count - at));
			check(written > 0, "write");
			at += written;
		}
	check(count == 0, "read");
}

int main(int count, char **words)
{
	if (count != 4) {
		fputs("usage: socket send|recv PATH splice|copy\n", stderr);
		return 2;
	}
	bool sends = strcmp(words[1], "send") == 0;
	int connection = open_connection(sends, words[2]);
	fcntl(0, F_SETPIPE_SZ, PIECE);
	fcntl(1, F_SETPIPE_SZ, PIECE);
	(strcmp(words[3], "splice") == 0 ? move : copy)(sends ? 0 : connection, sends ? connection : 1);
	return 0;
}
