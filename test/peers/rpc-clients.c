/*
 * rpc-clients PATH CLIENTS CALLS : CLIENTS connections at once, each with CALLS calls one after the other, none of them
 * like another. Prints how many answers were right; says the first that was not.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct client {
	int sent;
	size_t held;
	char bytes[512];
};

static void fail(const char *what)
{
	fprintf(stderr, "rpc-clients: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void ask(int descriptor, long number, struct client *client)
{
	char text[200];
	client->sent++;
	int length = snprintf(text, sizeof text, "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":[%ld,%d],\"id\":\"%ld-%d\"}\n",
			      number, client->sent, number, client->sent);
	if (send(descriptor, text, (size_t)length, MSG_NOSIGNAL) != length)
		fail("send");
}

int main(int count, char **words)
{
	if (count != 4)
		return 2;
	long clients = atol(words[2]), calls = atol(words[3]), right = 0, open = clients;
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	struct pollfd *polled = calloc((size_t)clients, sizeof *polled);
	struct client *all = calloc((size_t)clients, sizeof *all);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strncpy(address.sun_path, words[1], sizeof address.sun_path - 1);
	for (long i = 0; i < clients; i++) {
		polled[i].fd = socket(AF_UNIX, SOCK_STREAM, 0);
		polled[i].events = POLLIN;
		if (polled[i].fd < 0 || connect(polled[i].fd, (struct sockaddr *)&address, sizeof address) < 0)
			fail("connect");
	}
	for (long i = 0; i < clients; i++)
		ask(polled[i].fd, i, &all[i]);
	while (open > 0) {
		if (poll(polled, (nfds_t)clients, -1) < 0)
			fail("poll");
		for (long i = 0; i < clients; i++) {
			if (polled[i].fd < 0 || !polled[i].revents)
				continue;
			struct client *client = &all[i];
			ssize_t got = read(polled[i].fd, client->bytes + client->held, sizeof client->bytes - client->held - 1);
			if (got <= 0)
				fail("read");
			client->held += (size_t)got;
			client->bytes[client->held] = 0;
			if (!strchr(client->bytes, '\n'))
				continue;
			char expected[200];
			snprintf(expected, sizeof expected, "{\"jsonrpc\":\"2.0\",\"result\":[%ld, %d],\"id\":\"%ld-%d\"}\n", i, client->sent,
				 i, client->sent);
			if (strcmp(client->bytes, expected) == 0) {
				right++;
			} else {
				fprintf(stderr, "rpc-clients: %snot %s", client->bytes, expected);
				return 1;
			}
			client->held = 0;
			if (client->sent < calls) {
				ask(polled[i].fd, i, client);
			} else {
				close(polled[i].fd);
				polled[i].fd = -1;
				open--;
			}
		}
	}
	printf("%ld\n", right);
	return 0;
}
