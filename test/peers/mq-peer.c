/*
 * A stranger at a message queue, by libc's own mqueue.h: `mq-peer WHAT NAME …`
 *
 *   create NAME MAXMSG MSGSIZE       makes it
 *   send NAME PRIORITY TEXT          sends, without waiting
 *   recv NAME                        receives, without waiting; prints the priority, the length and the bytes
 *   attributes NAME                  prints maxmsg, msgsize and how many messages are in it
 *   churn NAME TEXT                  says `runs`, sends and receives it again and again, until stdin ends
 *   hold NAME read|write|readwrite   opens it, says `open` and keeps it until stdin ends
 *   notify NAME                      registers with mq_notify(3), says `registered`, and `notified` once it was
 */
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fail(const char *what)
{
	perror(what);
	return 1;
}

int main(int argc, char **argv)
{
	char name[300];
	if (argc < 3)
		return 2;
	const char *what = argv[1];
	snprintf(name, sizeof name, "/%s", argv[2]);
	setvbuf(stdout, NULL, _IOLBF, 0);

	struct mq_attr attributes = {0};
	int access = O_RDWR;
	if (strcmp(what, "create") == 0 && argc == 5) {
		attributes.mq_maxmsg = atol(argv[3]);
		attributes.mq_msgsize = atol(argv[4]);
		return mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes) < 0 ? fail("mq_open") : 0;
	}
	if (strcmp(what, "hold") == 0 && argc == 4)
		access = strcmp(argv[3], "read") == 0 ? O_RDONLY : strcmp(argv[3], "write") == 0 ? O_WRONLY : O_RDWR;
	mqd_t queue = mq_open(name, access | O_NONBLOCK);
	if (queue < 0)
		return fail("mq_open");
	if (mq_getattr(queue, &attributes) < 0)
		return fail("mq_getattr");

	if (strcmp(what, "send") == 0 && argc == 5)
		return mq_send(queue, argv[4], strlen(argv[4]), (unsigned)atoi(argv[3])) < 0 ? fail("mq_send") : 0;
	if (strcmp(what, "churn") == 0 && argc == 4) {
		char bytes[65536];
		struct pollfd input = {.fd = 0, .events = POLLIN};
		puts("runs");
		do {
			for (int i = 0; i < 3000; i++) {
				int refused = i % 3 == 2 ? 0 : mq_send(queue, argv[3], strlen(argv[3]), 0);
				if (refused < 0 || (i % 3 == 2 && (mq_receive(queue, bytes, sizeof bytes, NULL) < 0 ||
				                                   mq_receive(queue, bytes, sizeof bytes, NULL) < 0)))
					return fail("churn");
			}
		} while (poll(&input, 1, 0) == 0);
		return 0;
	}
	if (strcmp(what, "recv") == 0) {
		unsigned priority;
		char *bytes = malloc((size_t)attributes.mq_msgsize);
		ssize_t count = bytes ? mq_receive(queue, bytes, (size_t)attributes.mq_msgsize, &priority) : -1;
		if (count < 0)
			return fail("mq_receive");
		printf("%u %zd ", priority, count);
		fwrite(bytes, 1, (size_t)count, stdout);
		putchar('\n');
		free(bytes);
		return 0;
	}
	if (strcmp(what, "attributes") == 0) {
		printf("%ld %ld %ld\n", attributes.mq_maxmsg, attributes.mq_msgsize, attributes.mq_curmsgs);
		return 0;
	}
	if (strcmp(what, "hold") == 0) {
		puts("open");
		while (getchar() != EOF)
			;
		return 0;
	}
	if (strcmp(what, "notify") == 0) {
		sigset_t set;
		sigemptyset(&set);
		sigaddset(&set, SIGUSR1);
		sigprocmask(SIG_BLOCK, &set, NULL);
		struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
		if (mq_notify(queue, &event) < 0)
			return fail("mq_notify");
		puts("registered");
		int signal;
		if (sigwait(&set, &signal) != 0)
			return fail("sigwait");
		puts("notified");
		return 0;
	}
	return 2;
}
