/*
 * The words of a semaphore, and changes of them that libc does not have.
 *
 * Three operations that libc does not have, since they have to survive a kill at any moment: post adds several units
 * in one instruction; takeTagged and giveTagged change the value and a tag beside it in one instruction. A later process
 * sees by the tag whether the change of a dead process has happened. Both libcs leave the word of the tag alone:
 *
 *	bytes   glibc (new_sem)          musl (__val)
 *	0..3    value                    value, and in it the mark that a process waits: see below
 *	4..7    how many wait            how many wait
 *	8..11   128: shared              0: shared
 *	12..15  padding: our tag         unused: our tag
 *
 * musl's mark: since 1.2.4 the highest bit beside the value; before, -1 in the place of the value 0.
 */
#ifndef IPC_SEMAPHORE_WORDS_H
#define IPC_SEMAPHORE_WORDS_H

#include "native.h"

#ifdef __GLIBC__
#define SHARED_WORD 128
#else
#define SHARED_WORD 0
#endif

#define HIGHEST_BIT 0x80000000u

/* How libc notes in the value that a process waits. */
enum mark { NO_MARK, MARK_BIT, MARK_MINUS_ONE };

struct words {
	_Alignas(16) uint32_t value;
	uint32_t waiters;
	uint32_t shared;
	uint32_t tag;
};

/* Whether this libc's semaphores look as described above: the changes that go round libc hang on it. */
bool semaphore_layout_is_known(void);
/* Asks musl itself: this file may be compiled with one version and linked with another. */
enum mark mark_of_libc(void);
uint32_t units_of(uint32_t value, enum mark mark);
/* Adds `step` (1 or -1) to the value and sets the tag, together. False where there is nothing to take, or no room. */
bool change_tagged(struct words *words, enum mark mark, int step, uint32_t tag);

#endif
