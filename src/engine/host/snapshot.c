/*
 * The engine's heap as it is once the engine and the modules that most verbs share have been loaded, stored in the executable.
 *
 * Loading them takes most of the time of a start, and comes to the same each time. So the build calls the executable as `ipc-freeze`:
 * everything that the engine allocates then lies in `heap`, and what is written to standard output is put in the place of `snapshot`
 * in the same executable. Later starts begin with that heap.
 *
 * The executable is loaded at another address each time. So a word of the heap that is an address in the executable, which
 * includes the heap, is stored as the distance from `snapshot`, and `pointers` has a bit for it. There are no other addresses:
 * whatever belongs to one process (words, environment, descriptors, memory of malloc) is asked for after the start.
 * src/README.md, "A start", says what a module may do while it is loaded.
 */
#include "engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/time.h>
#include <unistd.h>

#define ALIGNMENT 16
#define WORD sizeof(uint64_t)

/* The build links twice: to learn how much is needed, and with room for just that. */
static struct {
	char mark[16]; /* the build finds it in the file by this */
	volatile uint64_t used; /* bytes of the heap; 0 while there is no snapshot */
	uint64_t pointers[SNAPSHOT_BYTES / WORD / 64];
	_Alignas(ALIGNMENT) uint8_t heap[SNAPSHOT_BYTES];
} snapshot __attribute__((section(".snapshot"), used)) = {.mark = "ipc-tools heap\n"};

/* The linker's: the executable in memory. */
extern const char __executable_start[], _end[];

static size_t frozen; /* bytes allocated so far, while a snapshot is made */

struct kept *kept(void)
{
	return (struct kept *)snapshot.heap;
}

bool is_freezing(void)
{
	return frozen > 0;
}

bool is_in_snapshot(const void *memory)
{
	return (uintptr_t)memory - (uintptr_t)snapshot.heap < sizeof snapshot.heap;
}

/* Blocks that were freed while the snapshot is made, each with its size before it and the next one in it. */
static uint8_t *unused;

static void set_size(uint8_t *memory, size_t size)
{
	memcpy(memory - WORD, &(uint64_t){size}, WORD);
}

/* The first block that is large enough, without what is too much of it. */
static uint8_t *take_unused(size_t size)
{
	for (uint8_t **at = &unused; *at; at = (uint8_t **)*at) {
		uint8_t *block = *at;
		const size_t rest = size_in_snapshot(block) - size;
		if (size_in_snapshot(block) < size)
			continue;
		*at = *(uint8_t **)block;
		*(uint8_t **)block = NULL;
		if (rest >= 2 * ALIGNMENT) {
			set_size(block, size);
			set_size(block + size + ALIGNMENT, rest - ALIGNMENT);
			free_in_snapshot(block + size + ALIGNMENT);
		}
		return block;
	}
	return NULL;
}

/* The size stands before the memory, which is zero. */
void *allocate_in_snapshot(size_t size)
{
	const size_t whole = (size > 0 ? size + ALIGNMENT - 1 : ALIGNMENT) / ALIGNMENT * ALIGNMENT;
	uint8_t *memory = take_unused(whole);
	if (memory || frozen + ALIGNMENT + whole > sizeof snapshot.heap)
		return memory;
	memory = snapshot.heap + frozen + ALIGNMENT;
	set_size(memory, whole);
	frozen += ALIGNMENT + whole;
	return memory;
}

void free_in_snapshot(void *memory)
{
	memset(memory, 0, size_in_snapshot(memory));
	*(uint8_t **)memory = unused;
	unused = memory;
}

size_t size_in_snapshot(const void *memory)
{
	uint64_t size;
	memcpy(&size, (const uint8_t *)memory - WORD, WORD);
	return size;
}

bool has_snapshot(void)
{
	return snapshot.used > 0;
}

bool thaw(void)
{
	if (!has_snapshot())
		return false;
	/* Nearly all pages have an address in them: one call takes less time than a fault for each. It may fail. madvise(2) */
#ifdef MADV_POPULATE_WRITE
	const uintptr_t page = 4095;
	uintptr_t from = (uintptr_t)snapshot.heap & ~page;
	madvise((void *)from, ((uintptr_t)snapshot.heap + snapshot.used - from + page) & ~page, MADV_POPULATE_WRITE);
#endif
	uint64_t *words = (uint64_t *)snapshot.heap;
	const size_t count = (snapshot.used / WORD + 63) / 64;
	for (size_t i = 0; i < count; i++)
		for (uint64_t bits = snapshot.pointers[i]; bits; bits &= bits - 1)
			words[i * 64 + (size_t)__builtin_ctzll(bits)] += (uintptr_t)&snapshot;
	return true;
}

/* The engine seeds its tables with the time: while a snapshot is made, with the same one each time. */
int __real_gettimeofday(struct timeval *now, void *zone);
int __wrap_gettimeofday(struct timeval *now, void *zone);
int __wrap_gettimeofday(struct timeval *now, void *zone)
{
	if (!is_freezing())
		return __real_gettimeofday(now, zone);
	*now = (struct timeval){.tv_sec = 1};
	return 0;
}

void begin_to_freeze(char **argv)
{
	/* The same addresses each time make the same snapshot, since some tables are ordered by them. It may be forbidden. */
	const int before = personality(0xffffffff);
	if (before >= 0 && !(before & ADDR_NO_RANDOMIZE) && personality((unsigned long)before | ADDR_NO_RANDOMIZE) >= 0)
		execv("/proc/self/exe", argv);
	frozen = (sizeof(struct kept) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* Words that the engine has left from its stack, and its notes where that is and where it ends, which a start renews. */
static bool is_on_stack(uint64_t word)
{
	const uintptr_t here = (uintptr_t)__builtin_frame_address(0), near = 4 << 20;
	return word > here - near && word < here + near;
}

/* The words that are addresses of mapped memory outside of the executable. */
static size_t count_strays(const uint64_t *words, size_t count)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	unsigned long from, to;
	size_t strays = 0;
	if (!maps)
		return 0;
	while (fgets(line, sizeof line, maps))
		if (sscanf(line, "%lx-%lx", &from, &to) == 2)
			for (size_t i = 0; i < count; i++)
				if (words[i] >= from && words[i] < to && !(words[i] >= (uintptr_t)__executable_start && words[i] < (uintptr_t)_end) &&
				    !is_on_stack(words[i])) {
					fprintf(stderr, "ipc-freeze: the word at %zu of the heap points to %s", i * WORD, line);
					strays++;
				}
	fclose(maps);
	return strays;
}

int write_snapshot(void)
{
	while (unused) {
		uint8_t *next = *(uint8_t **)unused;
		*(uint8_t **)unused = NULL;
		unused = next;
	}
	uint64_t *words = (uint64_t *)snapshot.heap;
	const size_t count = frozen / WORD;
	if (count_strays(words, count) > 0)
		return 1;
	for (size_t i = 0; i < count; i++)
		if (words[i] >= (uintptr_t)__executable_start && words[i] < (uintptr_t)_end)
			snapshot.pointers[i / 64] |= (uint64_t)1 << i % 64;
		else if (is_on_stack(words[i]))
			words[i] = 0;
	/* From here on the heap is of no use. */
	for (size_t i = 0; i < count; i++)
		if (snapshot.pointers[i / 64] >> i % 64 & 1)
			words[i] -= (uintptr_t)&snapshot;
	snapshot.used = frozen;
	for (size_t written = 0; written < sizeof snapshot;) {
		ssize_t more = write(STDOUT_FILENO, (const uint8_t *)&snapshot + written, sizeof snapshot - written);
		if (more < 0) {
			perror("ipc-freeze");
			return 1;
		}
		written += (size_t)more;
	}
	return 0;
}
