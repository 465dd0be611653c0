/* segment in|out FILE : stdin into a new file, or a file to stdout, by read(2) and write(2) of 1 MiB, through pipes of 1 MiB. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE (1 << 20)

int main(int count, char **words)
{
	if (count != 3 || (strcmp(words[1], "in") != 0 && strcmp(words[1], "out") != 0)) {
		fputs("usage: segment in|out FILE\n", stderr);
		return 2;
	}
	int is_in = strcmp(words[1], "in") == 0;
	int file = is_in ? open(words[2], O_WRONLY | O_CREAT | O_TRUNC, 0600) : open(words[2], O_RDONLY);
	char *buffer = malloc(PIECE);
	if (file < 0 || !buffer) {
		perror("segment");
		return 1;
	}
	int in = is_in ? 0 : file, out = is_in ? file : 1;
	/* Where it is no pipe, it stays as it is. */
	fcntl(is_in ? in : out, F_SETPIPE_SZ, PIECE);
	for (;;) {
		ssize_t got = read(in, buffer, PIECE);
		if (got < 0) {
			perror("segment: read");
			return 1;
		}
		if (got == 0)
			return 0;
		for (ssize_t at = 0; at < got;) {
			ssize_t done = write(out, buffer + at, (size_t)(got - at));
			if (done < 0) {
				perror("segment: write");
				return 1;
			}
			at += done;
		}
	}
}
