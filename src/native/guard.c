/*
 * Touching memory that another process may cut away.
 *
 * A page of a mapped file that no longer exists (a process made the file smaller) or cannot be had (its file system is
 * full) is answered with SIGBUS, at whatever instruction touched it. No check beforehand rules that out, since the
 * other process may be quicker. So what touches such memory runs under a guard: the handler jumps out of it, and the
 * caller gets EFAULT. mmap(2), signal(7)
 *
 * The state is static because a signal handler has no other; each thread has its own.
 */
#include "native.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>

static _Thread_local sigjmp_buf *volatile way_out;
static struct sigaction before;
static bool is_installed;

static void on_bus_error(int number)
{
	if (way_out)
		siglongjmp(*way_out, 1);
	/* Not ours: the instruction is tried again, and the previous handler gets the signal. */
	sigaction(number, &before, NULL);
}

bool guarded(void (*work)(void *context), void *context)
{
	sigjmp_buf here;
	if (!is_installed) {
		struct sigaction action;
		memset(&action, 0, sizeof action);
		action.sa_handler = on_bus_error;
		/* SA_NODEFER: jumping out of a handler does not unblock the signal, so it must not be blocked. */
		action.sa_flags = SA_NODEFER;
		if (sigaction(SIGBUS, &action, &before) != 0)
			return false;
		is_installed = true;
	}
	if (sigsetjmp(here, 0) != 0) {
		way_out = NULL;
		errno = EFAULT;
		return false;
	}
	way_out = &here;
	work(context);
	way_out = NULL;
	return true;
}
