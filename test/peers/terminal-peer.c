/*
 * Runs a program in a terminal of its own, $PEER_COLUMNS wide or 200: `terminal-peer PROGRAM ARG…`. stdin is what is typed, stdout
 * what is shown.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what) {
	perror(what);
	exit(125);
}

static void write_all(int to, const char *bytes, ssize_t length) {
	while (length > 0) {
		ssize_t written = write(to, bytes, (size_t)length);
		if (written < 0) fail("write");
		bytes += written;
		length -= written;
	}
}

int main(int count, char **words) {
	if (count < 2) return 2;
	int terminal = posix_openpt(O_RDWR | O_NOCTTY);
	if (terminal < 0 || grantpt(terminal) || unlockpt(terminal)) fail("posix_openpt");
	const char *name = ptsname(terminal);
	if (!name) fail("ptsname");
	const char *columns = getenv("PEER_COLUMNS");
	struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)(columns ? atoi(columns) : 200)};
	ioctl(terminal, TIOCSWINSZ, &size);
	pid_t child = fork();
	if (child < 0) fail("fork");
	if (child == 0) {
		setsid();
		int descriptor = open(name, O_RDWR);
		if (descriptor < 0 || ioctl(descriptor, TIOCSCTTY, 0) < 0) fail(name);
		for (int i = 0; i < 3; i++) dup2(descriptor, i);
		if (descriptor > 2) close(descriptor);
		close(terminal);
		execvp(words[1], words + 1);
		_exit(127);
	}
	struct pollfd sides[] = {{.fd = terminal, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
	char bytes[4096];
	for (;;) {
		if (poll(sides, 2, -1) < 0) fail("poll");
		if (sides[0].revents) {
			/* EIO: the last program there has closed it. */
			ssize_t length = read(terminal, bytes, sizeof bytes);
			if (length <= 0) break;
			write_all(1, bytes, length);
		}
		if (sides[1].revents) {
			ssize_t length = read(0, bytes, sizeof bytes);
			if (length < 0) fail("read");
			if (length == 0) sides[1].fd = -1;
			else write_all(terminal, bytes, length);
		}
	}
	int status;
	if (waitpid(child, &status, 0) < 0) fail("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
