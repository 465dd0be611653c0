/* What is special about a process that Node runs in. The executable has its own in the place of this file. */
#include "native.h"

#include <sys/stat.h>
#include <unistd.h>

/*
 * Without the work that Node does before it leaves. The kernel frees Node's memory before it closes descriptors; who waits for
 * our end of a pipe need not wait for that. Those without a type are event queues, on which Node's threads still wait: to find
 * one closed would make them abort.
 */
void leave(int status)
{
	struct stat kind;
	for (int descriptor = 0; descriptor < 256; descriptor++)
		if (fstat(descriptor, &kind) == 0 && (kind.st_mode & S_IFMT) != 0)
			close(descriptor);
	_exit(status);
}

bool has_other_threads(void)
{
	return true;
}
