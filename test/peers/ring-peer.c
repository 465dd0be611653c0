/*
 * A stranger that joins in a ring of ipc-shm, written from what ipc-shm(1) says under RING LAYOUT.
 *
 *	ring-peer send NAME        each line of stdin is a record
 *	ring-peer recv NAME COUNT  COUNT records, as lines
 *	ring-peer half NAME        takes the lock of senders, writes half a record, says so and stays until it is killed
 *	ring-peer claim NAME N     claims N records, says so and stays until it is killed
 *	ring-peer lock NAME AT N   locks N bytes from AT on, of any segment, says so and stays until it is killed
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int descriptor, slot;
static unsigned char *base, *data;
static uint64_t capacity;
static uint32_t slots;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static _Atomic uint64_t *word(uint64_t offset)
{
	return (_Atomic uint64_t *)(void *)(base + offset);
}

#define TAIL word(64)
#define CLAIM word(128)
#define HEAD word(192)
#define START(n) word(4096 + 64 * (uint64_t)(n))
#define END(n) word(4096 + 64 * (uint64_t)(n) + 8)
#define RECEIVERS_WAIT ((_Atomic uint32_t *)(void *)(base + 256))
#define SENDERS_WAIT ((_Atomic uint32_t *)(void *)(base + 320))

static void stay(void)
{
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}

static int lock(int type, int command, long byte)
{
	struct flock lock = {.l_type = (short)type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
	return fcntl(descriptor, command, &lock);
}

static void wake(_Atomic uint32_t *flag)
{
	if (atomic_exchange(flag, 0) != 0)
		syscall(SYS_futex, flag, 1 /* FUTEX_WAKE */, INT_MAX, NULL, NULL, 0);
}

/* Half a second at most: the dead wake nobody. */
static void sleep_on(_Atomic uint32_t *flag)
{
	struct timespec most = {0, 500000000};
	syscall(SYS_futex, flag, 0 /* FUTEX_WAIT */, 1, &most, NULL, 0);
}

static uint64_t space_of(uint64_t length)
{
	return 4 + (length + 3) / 4 * 4;
}

static uint32_t length_at(uint64_t position)
{
	uint32_t length;
	memcpy(&length, data + position % capacity, 4);
	return length;
}

static void put(uint64_t position, const void *from, uint64_t length)
{
	for (uint64_t i = 0; i < length; i++)
		data[(position + i) % capacity] = ((const unsigned char *)from)[i];
}

static void send_record(const char *text, size_t size, int is_half)
{
	uint32_t length = (uint32_t)size;
	for (;;) {
		if (lock(F_WRLCK, F_OFD_SETLKW, 0) != 0)
			fail("lock of senders");
		uint64_t tail = atomic_load(TAIL);
		if (tail - atomic_load(HEAD) + space_of(length) <= capacity) {
			put(tail, &length, 4);
			put(tail + 4, text, is_half ? length / 2 : length);
			if (is_half)
				return;
			atomic_store(TAIL, tail + space_of(length));
			lock(F_UNLCK, F_OFD_SETLK, 0);
			wake(RECEIVERS_WAIT);
			return;
		}
		lock(F_UNLCK, F_OFD_SETLK, 0);
		atomic_store(SENDERS_WAIT, 1);
		if (atomic_load(TAIL) - atomic_load(HEAD) + space_of(length) > capacity)
			sleep_on(SENDERS_WAIT);
	}
}

/* What head can be now. */
static void free_what_is_done(void)
{
	uint64_t lowest = atomic_load(CLAIM);
	for (uint32_t i = 0; i < slots; i++) {
		uint64_t start = atomic_load(START(i)), end = atomic_load(END(i));
		if (start < end && start < lowest)
			lowest = start;
	}
	if (lowest > atomic_load(HEAD)) {
		atomic_store(HEAD, lowest);
		wake(SENDERS_WAIT);
	}
}

/* So many records at most, in our slot; 0 when there is none. */
static int claim(int most)
{
	int found = 0;
	if (lock(F_WRLCK, F_OFD_SETLKW, 1) != 0)
		fail("lock of receivers");
	uint64_t from = atomic_load(CLAIM), tail = atomic_load(TAIL), to;
	for (uint32_t i = 0; i < slots; i++)
		if (atomic_load(START(i)) < atomic_load(END(i)) && atomic_load(END(i)) > from)
			from = atomic_load(END(i));
	atomic_store(CLAIM, from);
	for (uint32_t i = 0; i < slots && !found; i++) {
		if ((int)i == slot || atomic_load(START(i)) >= atomic_load(END(i)) || lock(F_WRLCK, F_OFD_SETLK, 64 + i) != 0)
			continue;
		/* Somebody has left it: now it is ours. */
		if (slot >= 0)
			lock(F_UNLCK, F_OFD_SETLK, 64 + slot);
		slot = (int)i;
		found = 1;
	}
	if (!found) {
		for (to = from; to < tail && found < most; found++)
			to += space_of(length_at(to));
		for (uint32_t i = 0; i < slots && found && slot < 0; i++)
			if (atomic_load(START(i)) >= atomic_load(END(i)) && lock(F_WRLCK, F_OFD_SETLK, 64 + i) == 0)
				slot = (int)i;
		if (found) {
			atomic_store(START(slot), from);
			atomic_store(END(slot), to);
			atomic_store(CLAIM, to);
		}
	}
	free_what_is_done();
	lock(F_UNLCK, F_OFD_SETLK, 1);
	return found;
}

static void receive(long count)
{
	while (count > 0) {
		if (!claim(100)) {
			atomic_store(RECEIVERS_WAIT, 1);
			if (atomic_load(TAIL) == atomic_load(CLAIM))
				sleep_on(RECEIVERS_WAIT);
			continue;
		}
		for (uint64_t at = atomic_load(START(slot)); at < atomic_load(END(slot)) && count > 0; count--) {
			uint32_t length = length_at(at);
			for (uint64_t i = 0; i < length; i++)
				putchar(data[(at + 4 + i) % capacity]);
			putchar('\n');
			at += space_of(length);
			fflush(stdout);
			atomic_store(START(slot), at);
		}
	}
	claim(0);
}

int main(int count, char **words)
{
	char path[300], *line = NULL;
	size_t room = 0;
	struct stat status;
	if (count < 3)
		return 2;
	snprintf(path, sizeof path, "/dev/shm/%s", words[2]);
	descriptor = open(path, O_RDWR);
	if (descriptor < 0 || fstat(descriptor, &status) != 0)
		fail(path);
	if (strcmp(words[1], "lock") == 0) {
		struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = atol(words[3]), .l_len = atol(words[4])};
		if (fcntl(descriptor, F_OFD_SETLK, &range) != 0)
			fail("lock");
		stay();
	}
	base = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
	if (base == MAP_FAILED)
		fail("mmap");
	uint32_t version;
	uint64_t where;
	memcpy(&version, base + 8, 4);
	memcpy(&slots, base + 12, 4);
	memcpy(&capacity, base + 16, 8);
	memcpy(&where, base + 24, 8);
	if (memcmp(base, "ipc-ring", 8) != 0 || version != 1 || where + capacity > (uint64_t)status.st_size) {
		fputs("no ring\n", stderr);
		return 1;
	}
	data = base + where;
	slot = -1;
	if (strcmp(words[1], "send") == 0) {
		for (ssize_t length; (length = getline(&line, &room, stdin)) > 0;)
			send_record(line, (size_t)length - 1, 0);
		return 0;
	}
	if (strcmp(words[1], "recv") == 0) {
		receive(atol(words[3]));
		return 0;
	}
	if (strcmp(words[1], "half") == 0)
		send_record("this never comes", 16, 1);
	else if (strcmp(words[1], "claim") == 0)
		printf("%d ", claim(atoi(words[3])));
	stay();
}
