/*
 * A stranger to ipc-shm: the same segments by shm_open(3) and mmap(2), the same words by C11's atomic operations.
 *
 *	shm-peer map NAME             maps it, closes the descriptor, says so, and stays until stdin ends
 *	shm-peer lock NAME            flock(2) on it, says so, and stays until stdin ends
 *	shm-peer add NAME OFFSET N    adds one to the 64-bit word there, so often
 *	shm-peer store NAME OFFSET V  stores a 32-bit word, and wakes no process
 *	shm-peer load NAME OFFSET     prints the 64-bit word there
 *	shm-peer cut NAME SIZE        ftruncate(2)
 *	shm-peer thrash NAME SIZE N   cuts it to nothing and makes it that large again, so often
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void stay(void)
{
	char byte;
	puts("ready");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		continue;
}

int main(int count, char **words)
{
	char path[300];
	struct stat status;
	if (count < 3)
		return 2;
	/* Beside shm_open(3), which is not in every libc proper. */
	snprintf(path, sizeof path, "/dev/shm/%s", words[2]);
	int descriptor = open(path, O_RDWR);
	if (descriptor < 0 || fstat(descriptor, &status) != 0)
		fail(path);
	const char *verb = words[1];
	if (strcmp(verb, "lock") == 0) {
		if (flock(descriptor, LOCK_EX) != 0)
			fail("flock");
		stay();
		return 0;
	}
	if (strcmp(verb, "cut") == 0)
		return ftruncate(descriptor, atol(words[3])) == 0 ? 0 : 1;
	if (strcmp(verb, "thrash") == 0) {
		for (long i = atol(words[4]); i > 0; i--)
			if (ftruncate(descriptor, 0) != 0 || ftruncate(descriptor, atol(words[3])) != 0)
				fail("ftruncate");
		return 0;
	}
	char *base = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
	if (base == MAP_FAILED)
		fail("mmap");
	close(descriptor);
	if (strcmp(verb, "map") == 0) {
		stay();
		return 0;
	}
	char *word = base + atol(words[3]);
	if (strcmp(verb, "add") == 0) {
		for (long i = atol(words[4]); i > 0; i--)
			atomic_fetch_add((_Atomic int64_t *)(void *)word, 1);
	} else if (strcmp(verb, "store") == 0) {
		atomic_store((_Atomic int32_t *)(void *)word, atoi(words[4]));
	} else if (strcmp(verb, "load") == 0) {
		printf("%lld\n", (long long)atomic_load((_Atomic int64_t *)(void *)word));
	} else {
		return 2;
	}
	return 0;
}
