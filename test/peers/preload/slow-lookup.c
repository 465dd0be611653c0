/* Loaded into a command (LD_PRELOAD): looking up a host name never ends, as with a name server that does not answer. */
#include <netdb.h>
#include <unistd.h>

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
	(void)node;
	(void)service;
	(void)hints;
	(void)result;
	for (;;)
		pause();
}
