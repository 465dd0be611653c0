/*
 * produce BYTES : BYTES bytes to stdout, which is a pipe, by vmsplice(2): the pages of one buffer over and over, no
 * copy. The producer that costs next to nothing, so that the middle is what is measured.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>

#define PIECE (1 << 20)

int main(int count, char **words)
{
	if (count != 2) {
		fputs("usage: produce BYTES\n", stderr);
		return 2;
	}
	char *buffer = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (buffer == MAP_FAILED) {
		perror("produce: mmap");
		return 1;
	}
	for (uint64_t left = strtoull(words[1], NULL, 10); left > 0;) {
		struct iovec piece = {buffer, left < PIECE ? left : PIECE};
		ssize_t moved = vmsplice(1, &piece, 1, 0);
		if (moved < 0) {
			perror("produce: vmsplice");
			return 1;
		}
		left -= (uint64_t)moved;
	}
	return 0;
}
