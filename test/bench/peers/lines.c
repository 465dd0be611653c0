/* lines COUNT : COUNT numbered lines of 60 bytes, newline included, to stdout. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE 60
#define LINES_A_WRITE 1024

int main(int count, char **words)
{
	static char buffer[LINES_A_WRITE * LINE + 1];
	if (count != 2) {
		fputs("usage: lines COUNT\n", stderr);
		return 2;
	}
	uint64_t wanted = strtoull(words[1], NULL, 10);
	for (uint64_t number = 0; number < wanted;) {
		size_t length = 0;
		for (int i = 0; i < LINES_A_WRITE && number < wanted; i++, number++, length += LINE) {
			/* snprintf would be the slowest part of the pipeline. */
			char *line = buffer + length;
			memset(line, '0', LINE - 1);
			line[LINE - 1] = '\n';
			char *digit = line + LINE - 1;
			for (uint64_t rest = number; rest > 0; rest /= 10)
				*--digit = (char)('0' + rest % 10);
		}
		for (size_t at = 0; at < length;) {
			ssize_t written = write(1, buffer + at, length - at);
			if (written < 0) {
				perror("lines: write");
				return 1;
			}
			at += (size_t)written;
		}
	}
	return 0;
}
