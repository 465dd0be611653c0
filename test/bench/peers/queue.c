/*
 * queue send NAME [retry] : each line of stdin as a message
 * queue recv NAME COUNT [retry] : COUNT messages to stdout, a line each
 * queue once NAME TEXT : one message
 *
 * Plainly, as a C program is written: stdio at one end, a call that blocks at the other. With `retry` the queue does not
 * block, and a call is tried a hundred times before poll(2): two sleeping processes need far longer to answer one
 * another.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BYTES 8192
#define TRIES 100

static int failed(const char *what)
{
	fprintf(stderr, "queue: %s: %s\n", what, strerror(errno));
	return 1;
}

/* After this many failed tries: whether another one makes sense. */
static bool goes_on(mqd_t queue, short events, int *tries)
{
	if (errno != EAGAIN)
		return false;
	if (++*tries % TRIES != 0)
		return true;
	struct pollfd descriptor = {.fd = queue, .events = events};
	return poll(&descriptor, 1, -1) > 0;
}

static bool put(mqd_t queue, const char *text, size_t length)
{
	for (int tries = 0; mq_send(queue, text, length, 0) < 0;)
		if (!goes_on(queue, POLLOUT, &tries))
			return false;
	return true;
}

static ssize_t take(mqd_t queue, char *text)
{
	ssize_t length;
	for (int tries = 0; (length = mq_receive(queue, text, MOST_BYTES, NULL)) < 0;)
		if (!goes_on(queue, POLLIN, &tries))
			return -1;
	return length;
}

static int send_lines(mqd_t queue)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t length;
	while ((length = getline(&line, &room, stdin)) > 0) {
		if (line[length - 1] == '\n')
			length--;
		if (!put(queue, line, (size_t)length))
			return failed("mq_send");
	}
	free(line);
	return 0;
}

static int receive_lines(mqd_t queue, long count)
{
	static char message[MOST_BYTES + 1];
	for (; count > 0; count--) {
		ssize_t length = take(queue, message);
		if (length < 0)
			return failed("mq_receive");
		message[length] = '\n';
		if (fwrite(message, 1, (size_t)length + 1, stdout) != (size_t)length + 1)
			return failed("fwrite");
	}
	return fflush(stdout) == 0 ? 0 : failed("fflush");
}

int main(int count, char **words)
{
	bool receives = count > 3 && strcmp(words[1], "recv") == 0;
	bool once = count > 3 && strcmp(words[1], "once") == 0;
	if (!receives && !once && !(count > 2 && strcmp(words[1], "send") == 0)) {
		fputs("usage: queue send|recv|once NAME [COUNT|TEXT] [retry]\n", stderr);
		return 2;
	}
	int retries = strcmp(words[count - 1], "retry") == 0 ? O_NONBLOCK : 0;
	mqd_t queue = mq_open(words[2], (receives ? O_RDONLY : O_WRONLY) | retries);
	if (queue == (mqd_t)-1)
		return failed(words[2]);
	if (once)
		return put(queue, words[3], strlen(words[3])) ? 0 : failed("mq_send");
	return receives ? receive_lines(queue, strtol(words[3], NULL, 10)) : send_lines(queue);
}
