/*
 * Loaded into a command (LD_PRELOAD): as soon as it listens on a local socket, the socket's file is moved away and a
 * symbolic link to $IPC_TEST_VICTIM is put in its place, as the owner of the folder could do at that moment.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int listen(int descriptor, int backlog)
{
	int (*real)(int, int) = (int (*)(int, int))dlsym(RTLD_NEXT, "listen");
	int result = real(descriptor, backlog);
	const char *victim = getenv("IPC_TEST_VICTIM");
	struct sockaddr_un address;
	socklen_t length = sizeof address;
	char away[sizeof address.sun_path + 8];
	memset(&address, 0, sizeof address);
	if (result == 0 && victim && getsockname(descriptor, (struct sockaddr *)&address, &length) == 0 &&
	    address.sun_family == AF_UNIX && address.sun_path[0] == '/') {
		snprintf(away, sizeof away, "%s.away", address.sun_path);
		if (rename(address.sun_path, away) < 0 || symlink(victim, address.sun_path) < 0)
			perror("replace-bound");
	}
	return result;
}
