/* Sleeping on a word of shared memory, and waking the sleepers. futex(2) */
#include "native.h"

#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* From <linux/futex.h>, which comes with the kernel's headers: not every libc brings those. */
#define FUTEX_WAIT 0
#define FUTEX_WAKE 1

int futex_sleep(uint32_t *word, uint32_t expected, int64_t deadline_ns)
{
	struct timespec rest = {0, 0};
	int64_t left = deadline_ns < 0 ? 0 : deadline_ns - monotonic_ns();
	if (left > 0) {
		rest.tv_sec = left / 1000000000;
		rest.tv_nsec = left % 1000000000;
	}
	return (int)syscall(SYS_futex, word, FUTEX_WAIT, expected, deadline_ns < 0 ? NULL : &rest, NULL, 0);
}

int futex_wait(uint32_t *word, uint32_t expected, int64_t timeout_ms)
{
	int64_t deadline_ns = timeout_ms < 0 ? -1 : monotonic_ns() + timeout_ms * 1000000;
	peer_wait_begin();
	int result;
	do
		result = take_stop() ? -2 : futex_sleep(word, expected, deadline_ns);
	while (result == -1 && errno == EINTR);
	peer_wait_end(result == 0 || errno == EAGAIN);
	return result < 0 ? -1 : 0;
}

void futex_wake(uint32_t *word, int count)
{
	syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
}
