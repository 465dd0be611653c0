/* lines COUNT [BYTES] : COUNT numbered lines of 60 or BYTES bytes, newline included, to stdout. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE 60
#define MOST_BYTES (1024 * LINE)

int main(int count, char **words)
{
	static char buffer[MOST_BYTES];
	size_t line_length = count == 3 ? strtoul(words[2], NULL, 10) : LINE;
	if (count < 2 || count > 3 || line_length < 2 || line_length > MOST_BYTES) {
		fputs("usage: lines COUNT [BYTES]\n", stderr);
		return 2;
	}
	uint64_t wanted = strtoull(words[1], NULL, 10);
	for (uint64_t number = 0; number < wanted;) {
		size_t length = 0;
		for (; length + line_length <= MOST_BYTES && number < wanted; number++, length += line_length) {
			/* snprintf would be the slowest part of the pipeline. */
			char *line = buffer + length;
			memset(line, '0', line_length - 1);
			line[line_length - 1] = '\n';
			char *digit = line + line_length - 1;
			for (uint64_t rest = number; rest > 0 && digit > line; rest /= 10)
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
