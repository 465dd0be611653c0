/* A semaphore behind a handle, and what is done with its words, for a pump that does it for many lines. */
#ifndef IPC_SEMAPHORE_H
#define IPC_SEMAPHORE_H

#include "semaphore-words.h"

#include <semaphore.h>

struct semaphore {
	struct words *words; /* NULL once it is unmapped */
	bool writable;
	enum mark mark;
};

/*
 * What touches the words does it under a guard (guard.c): a process may truncate the file at any time. Then it is EFAULT.
 */
struct touch {
	struct words *words;
	sem_t *semaphore;
	enum mark mark;
	int64_t argument;
	int64_t result;
	int problem;
};

/* The semaphore a handle stands for; throws and answers NULL for anything else, and where it may not be changed. */
struct semaphore *semaphore_argument(struct arguments *arguments, size_t index, bool writes);
struct touch touch_of(const struct semaphore *semaphore, int64_t argument);

/* The result: whether a unit was there and is taken. sem_trywait(3) */
void semaphore_try_wait(void *touch);
/* The result: whether there was room for `argument` units, and they are posted, in one step. sem_post(3) */
void semaphore_post(void *touch);
/* The result: its value. sem_getvalue(3) */
void semaphore_get_value(void *touch);

#endif
