/*
 * rpc serve PATH : answers JSON-RPC on a stream socket, a line each, with the parameters as the result
 * rpc work : the same on stdin and stdout
 * rpc call PATH IN_FLIGHT : each line of stdin as a request, each answer as a line of stdout
 * rpc call-once PATH : one request of its own, and the answer
 * rpc requests COUNT [BYTES] : COUNT requests, a line each, with a parameter of BYTES bytes
 *
 * As a C program may do it that knows what its peer says: it looks for newlines and for `"params":` and `"id":`, and
 * nothing else. One at a time it blocks in read(2); with more in flight it reads and writes as much as there is.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BUFFER 65536
#define LONGEST_REQUEST 16384

static void fail(const char *what)
{
	fprintf(stderr, "rpc: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_socket(const char *path, struct sockaddr_un *address)
{
	int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (descriptor < 0 || strlen(path) >= sizeof address->sun_path)
		fail("socket");
	memset(address, 0, sizeof *address);
	address->sun_family = AF_UNIX;
	strcpy(address->sun_path, path);
	return descriptor;
}

static void write_all(int descriptor, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t count = write(descriptor, bytes, length);
		if (count < 0)
			fail("write");
		bytes += count;
		length -= (size_t)count;
	}
}

/* Appends the answer to one request. */
static size_t answer(const char *line, const char *end, char *to)
{
	const char *params = memmem(line, (size_t)(end - line), "\"params\":", 9);
	const char *id = memmem(line, (size_t)(end - line), "\"id\":", 5);
	const char *params_end = params ? memchr(params, ']', (size_t)(end - params)) : NULL;
	if (!id || !params_end)
		return (size_t)sprintf(to, "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32600,\"message\":\"Invalid Request\"},\"id\":null}\n");
	id += 5;
	const char *id_end = id;
	while (id_end < end && *id_end != ',' && *id_end != '}')
		id_end++;
	params += 9;
	return (size_t)sprintf(to, "{\"jsonrpc\":\"2.0\",\"result\":%.*s,\"id\":%.*s}\n", (int)(params_end + 1 - params), params,
			       (int)(id_end - id), id);
}

static void serve_one(int input, int output)
{
	static char in[BUFFER], out[4 * BUFFER];
	size_t held = 0;
	for (;;) {
		ssize_t count = read(input, in + held, sizeof in - held);
		if (count <= 0)
			return;
		held += (size_t)count;
		size_t used = 0, length = 0;
		for (char *end; (end = memchr(in + used, '\n', held - used)); used = (size_t)(end - in) + 1)
			length += answer(in + used, end, out + length);
		memmove(in, in + used, held - used);
		held -= used;
		write_all(output, out, length);
	}
}

static _Noreturn void serve(const char *path)
{
	struct sockaddr_un address;
	int listener = open_socket(path, &address);
	unlink(path);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 16) < 0)
		fail("listen");
	write_all(STDOUT_FILENO, "\n", 1);
	for (;;) {
		int connection = accept(listener, NULL, NULL);
		if (connection < 0)
			fail("accept");
		serve_one(connection, connection);
		close(connection);
	}
}

static int call(const char *path, int in_flight)
{
	struct sockaddr_un address;
	static char in[BUFFER], requests[BUFFER];
	int connection = open_socket(path, &address);
	if (connect(connection, (struct sockaddr *)&address, sizeof address) < 0)
		fail("connect");
	int asked = 0, has_all = 0;
	for (;;) {
		size_t length = 0;
		while (!has_all && asked < in_flight && length < sizeof requests - LONGEST_REQUEST) {
			if (!fgets(requests + length, LONGEST_REQUEST, stdin)) {
				has_all = 1;
				break;
			}
			length += strlen(requests + length);
			asked++;
		}
		write_all(connection, requests, length);
		if (asked == 0)
			break;
		ssize_t count = read(connection, in, sizeof in);
		if (count <= 0)
			fail("read");
		for (char *at = in; (at = memchr(at, '\n', (size_t)(in + count - at))); at++)
			asked--;
		fwrite(in, 1, (size_t)count, stdout);
	}
	return fflush(stdout) == 0 ? 0 : 1;
}

static int call_once(const char *path)
{
	static const char request[] = "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":[1,\"a\"],\"id\":1}\n";
	struct sockaddr_un address;
	char in[4096];
	int connection = open_socket(path, &address);
	if (connect(connection, (struct sockaddr *)&address, sizeof address) < 0)
		fail("connect");
	write_all(connection, request, sizeof request - 1);
	ssize_t count = read(connection, in, sizeof in);
	if (count <= 0)
		fail("read");
	write_all(1, in, (size_t)count);
	return 0;
}

static int requests(long count, int bytes)
{
	for (long i = 1; i <= count; i++)
		printf("{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":[\"%0*d\",%ld],\"id\":%ld}\n", bytes, 0, i, i);
	return fflush(stdout) == 0 ? 0 : 1;
}

int main(int count, char **words)
{
	if (count == 3 && strcmp(words[1], "serve") == 0)
		serve(words[2]);
	if (count == 2 && strcmp(words[1], "work") == 0) {
		serve_one(STDIN_FILENO, STDOUT_FILENO);
		return 0;
	}
	if (count == 4 && strcmp(words[1], "call") == 0)
		return call(words[2], atoi(words[3]));
	if (count == 3 && strcmp(words[1], "call-once") == 0)
		return call_once(words[2]);
	if ((count == 3 || count == 4) && strcmp(words[1], "requests") == 0)
		return requests(atol(words[2]), count == 4 ? atoi(words[3]) : 6);
	fprintf(stderr, "usage: rpc serve PATH | work | call PATH IN_FLIGHT | call-once PATH | requests COUNT [BYTES]\n");
	return 2;
}
