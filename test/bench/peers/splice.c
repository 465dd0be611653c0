/*
 * splice [pause] : stdin to stdout by splice(2), both pipes made 1 MiB large: about the most that can be had through
 * two pipes. With `pause` it rests for 100 microseconds after a small move while little waits in its input, so that
 * small pieces gather.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#define PIECE (1 << 20)
#define SMALL_PIECE (1 << 16)
#define QUARTER (PIECE / 4)

int main(int count, char **words)
{
	bool pauses = count > 1 && strcmp(words[1], "pause") == 0;
	const struct timespec pause = {0, 100000};
	fcntl(0, F_SETPIPE_SZ, PIECE);
	fcntl(1, F_SETPIPE_SZ, PIECE);
	for (;;) {
		int waiting;
		ssize_t moved = splice(0, NULL, 1, NULL, PIECE, SPLICE_F_MOVE);
		if (moved < 0) {
			perror("splice");
			return 1;
		}
		if (moved == 0)
			return 0;
		if (pauses && moved < SMALL_PIECE && ioctl(0, FIONREAD, &waiting) == 0 && waiting < QUARTER)
			nanosleep(&pause, NULL);
	}
}
