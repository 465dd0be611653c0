/*
 * A stranger at a FIFO: opens it read, write or readwrite, says `open`, then does as it is told on stdin, a line a
 * command: `r N` reads up to N bytes, `w N` writes N, `x TEXT` writes that text with a newline. Each answers with the
 * number of bytes. Ends with stdin.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	int mode = strcmp(argv[1], "read") == 0 ? O_RDONLY : strcmp(argv[1], "write") == 0 ? O_WRONLY : O_RDWR;
	int fifo = open(argv[2], mode);
	if (fifo < 0) {
		perror(argv[2]);
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("open");
	char line[4096];
	while (fgets(line, sizeof line, stdin)) {
		size_t amount = strtoul(line + 2, NULL, 10);
		if (line[0] == 'x') {
			printf("%zd\n", write(fifo, line + 2, strlen(line + 2)));
			continue;
		}
		char *bytes = malloc(amount + 1);
		if (!bytes)
			return 1;
		memset(bytes, 'x', amount);
		printf("%zd\n", line[0] == 'r' ? read(fifo, bytes, amount) : write(fifo, bytes, amount));
		free(bytes);
	}
	return 0;
}
