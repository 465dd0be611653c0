/*
 * sock-peer VERB ADDR … : a stranger at the other end of a local socket. ADDR is a path, or @NAME.
 *
 *   hold ADDR stream|dgram|seqpacket [bound]   binds, listens unless `bound`, says "ready" and sleeps
 *   late ADDR TEXT TEXT       answers whatever comes with two texts, a moment apart, and never closes
 *   send-fd ADDR FILE         connects and passes on FILE, opened for reading
 *   recv-fd ADDR              listens, and prints what the descriptor it gets has to say
 *   packet ADDR TYPE TEXT…    connects and sends each text as a packet
 *   pass-pipe ADDR TYPE       connects and passes on the writing end of a pipe, and says "closed" once nobody has it
 *   deaf ADDR [TYPE]            connects, says "ready", never reads
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void check(bool worked, const char *what)
{
	if (worked)
		return;
	perror(what);
	exit(1);
}

static socklen_t make_address(struct sockaddr_un *address, const char *text)
{
	memset(address, 0, sizeof *address);
	address->sun_family = AF_UNIX;
	strncpy(address->sun_path, text, sizeof address->sun_path - 1);
	if (text[0] != '@')
		return sizeof *address;
	address->sun_path[0] = 0;
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(text));
}

static int type_of(const char *word)
{
	return strcmp(word, "dgram") == 0 ? SOCK_DGRAM : strcmp(word, "seqpacket") == 0 ? SOCK_SEQPACKET : SOCK_STREAM;
}

static int bound(const char *text, int type, bool listens)
{
	struct sockaddr_un address;
	socklen_t length = make_address(&address, text);
	int descriptor = socket(AF_UNIX, type, 0);
	check(bind(descriptor, (struct sockaddr *)&address, length) == 0, "bind");
	check(!listens || listen(descriptor, 8) == 0, "listen");
	puts("ready");
	fflush(stdout);
	return descriptor;
}

static int connected(const char *text, int type)
{
	struct sockaddr_un address;
	socklen_t length = make_address(&address, text);
	int descriptor = socket(AF_UNIX, type, 0);
	check(connect(descriptor, (struct sockaddr *)&address, length) == 0, "connect");
	return descriptor;
}

static void late(const char *address, const char *one, const char *two)
{
	const struct timespec moment = {0, 200000000};
	char buffer[1000];
	int connection = accept(bound(address, SOCK_STREAM, true), NULL, NULL);
	check(read(connection, buffer, sizeof buffer) > 0, "read");
	nanosleep(&moment, NULL);
	check(write(connection, one, strlen(one)) > 0, "write");
	nanosleep(&moment, NULL);
	check(write(connection, two, strlen(two)) > 0, "write");
	pause();
}

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static void send_descriptor(int connection, int descriptor)
{
	char byte = 'x';
	union control control;
	struct iovec part = {&byte, 1};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control};
	memset(&control, 0, sizeof control);
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
	check(sendmsg(connection, &message, 0) == 1, "sendmsg");
}

static void pass_pipe(int connection)
{
	int ends[2];
	char byte;
	check(pipe(ends) == 0, "pipe");
	send_descriptor(connection, ends[1]);
	close(ends[1]);
	check(read(ends[0], &byte, 1) == 0, "read");
	puts("closed");
}

static void receive_descriptor(int connection)
{
	char byte, buffer[1000];
	int descriptor;
	ssize_t count;
	union control control;
	struct iovec part = {&byte, 1};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control};
	check(recvmsg(connection, &message, 0) > 0, "recvmsg");
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	check(header && header->cmsg_type == SCM_RIGHTS, "no descriptor came");
	memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
	while ((count = read(descriptor, buffer, sizeof buffer)) > 0)
		check(fwrite(buffer, 1, (size_t)count, stdout) == (size_t)count, "stdout");
}

int main(int count, char **words)
{
	const char *verb = count > 2 ? words[1] : "", *address = count > 2 ? words[2] : "";
	if (strcmp(verb, "hold") == 0 && count >= 4) {
		bool listens = count == 4 && strcmp(words[3], "dgram") != 0;
		bound(address, type_of(words[3]), listens);
		pause();
	} else if (strcmp(verb, "late") == 0 && count == 5) {
		late(address, words[3], words[4]);
	} else if (strcmp(verb, "send-fd") == 0 && count == 4) {
		send_descriptor(connected(address, SOCK_STREAM), open(words[3], O_RDONLY));
	} else if (strcmp(verb, "recv-fd") == 0) {
		receive_descriptor(accept(bound(address, SOCK_STREAM, true), NULL, NULL));
	} else if (strcmp(verb, "packet") == 0 && count > 3) {
		int connection = connected(address, type_of(words[3]));
		for (int i = 4; i < count; i++)
			check(send(connection, words[i], strlen(words[i]), 0) >= 0, "send");
	} else if (strcmp(verb, "pass-pipe") == 0 && count == 4) {
		pass_pipe(connected(address, type_of(words[3])));
	} else if (strcmp(verb, "deaf") == 0) {
		connected(address, count > 3 ? type_of(words[3]) : SOCK_STREAM);
		puts("ready");
		fflush(stdout);
		pause();
	} else {
		fputs("usage: sock-peer VERB ADDR ...\n", stderr);
		return 2;
	}
	return 0;
}
