#include "semaphore-words.h"

#include <errno.h>
#include <limits.h>
#include <semaphore.h>
#include <string.h>

bool semaphore_layout_is_known(void)
{
	struct words words;
	_Static_assert(sizeof(sem_t) >= sizeof words, "sem_t is smaller than expected");
	union {
		sem_t semaphore;
		struct words words;
	} probe;
	memset(&probe, 0xff, sizeof probe);
	if (sem_init(&probe.semaphore, 1, 5) != 0)
		return false;
	words = probe.words;
	return words.value == 5 && words.waiters == 0 && words.shared == SHARED_WORD;
}

enum mark mark_of_libc(void)
{
#ifdef __GLIBC__
	return NO_MARK;
#else
	union {
		sem_t semaphore;
		struct words words;
	} probe;
	sem_init(&probe.semaphore, 1, 0);
	probe.words.value = HIGHEST_BIT;
	return sem_post(&probe.semaphore) == 0 && probe.words.value == 1 ? MARK_BIT : MARK_MINUS_ONE;
#endif
}

uint32_t units_of(uint32_t value, enum mark mark)
{
	if (mark == MARK_MINUS_ONE)
		return value & HIGHEST_BIT ? 0 : value;
	return mark == MARK_BIT ? value & ~HIGHEST_BIT : value;
}

/* All four words at once, if they still are what is expected. */
static bool exchange(struct words *words, const struct words *expected, const struct words *desired)
{
#if defined(__x86_64__)
	uint64_t old[2], new[2];
	bool done;
	memcpy(old, expected, sizeof old);
	memcpy(new, desired, sizeof new);
	__asm__ volatile("lock cmpxchg16b %1\n\tsete %0"
			 : "=q"(done), "+m"(*words), "+a"(old[0]), "+d"(old[1])
			 : "b"(new[0]), "c"(new[1])
			 : "cc", "memory");
	return done;
#elif defined(__aarch64__)
	uint64_t old[2], new[2], low, high;
	uint32_t busy;
	memcpy(old, expected, sizeof old);
	memcpy(new, desired, sizeof new);
	__asm__ volatile("1:	ldaxp %[low], %[high], %[words]\n"
			 "	cmp %[low], %[old0]\n"
			 "	ccmp %[high], %[old1], #0, eq\n"
			 "	b.ne 2f\n"
			 "	stlxp %w[busy], %[new0], %[new1], %[words]\n"
			 "	cbnz %w[busy], 1b\n"
			 "	b 3f\n"
			 "2:	clrex\n"
			 "	mov %w[busy], #1\n"
			 "3:\n"
			 : [low] "=&r"(low), [high] "=&r"(high), [busy] "=&r"(busy), [words] "+Q"(*words)
			 : [old0] "r"(old[0]), [old1] "r"(old[1]), [new0] "r"(new[0]), [new1] "r"(new[1])
			 : "cc", "memory");
	return !busy;
#else
#error "an exchange of 16 bytes is needed; it is known for x86-64 and AArch64"
#endif
}

bool change_tagged(struct words *words, enum mark mark, int step, uint32_t tag)
{
	for (;;) {
		/* Torn by others meanwhile it fits nothing, and is read again. */
		struct words old = {
			.value = __atomic_load_n(&words->value, __ATOMIC_SEQ_CST),
			.waiters = __atomic_load_n(&words->waiters, __ATOMIC_SEQ_CST),
			.shared = __atomic_load_n(&words->shared, __ATOMIC_SEQ_CST),
			.tag = __atomic_load_n(&words->tag, __ATOMIC_SEQ_CST),
		};
		uint32_t units = units_of(old.value, mark);
		if (step < 0 ? units == 0 : units >= SEM_VALUE_MAX)
			return false;
		struct words new = old;
		new.value = (mark == MARK_BIT ? old.value & HIGHEST_BIT : 0) | (units + (uint32_t)step);
		new.tag = tag;
		if (exchange(words, &old, &new))
			return true;
	}
}

