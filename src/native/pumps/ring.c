/* Opening a ring and closing it, its locks, and how a side waits for the other. The layout and its rules are in ring.h. */
#include "ring.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const napi_type_tag ring_tag = {0x6970632d73686d21, 0x72696e6721212121};

void ring_wake(uint32_t *flag)
{
	if (__atomic_load_n(flag, __ATOMIC_SEQ_CST) && __atomic_exchange_n(flag, 0, __ATOMIC_SEQ_CST))
		futex_wake(flag, INT_MAX);
}

int ring_lock(const struct ring *ring, int byte, int64_t timeout_ms)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
	int result = fcntl(ring->descriptor, F_OFD_SETLK, &lock);
	if (result == 0 || timeout_ms == 0 || (errno != EAGAIN && errno != EACCES))
		return result;
	struct wait wait;
	wait_begin(&wait, timeout_ms);
	do
		result = wait_allows(&wait) ? fcntl(ring->descriptor, F_OFD_SETLKW, &lock) : -1;
	while (result < 0 && wait_goes_on(&wait));
	wait_end(&wait);
	return result;
}

void ring_unlock(const struct ring *ring, int byte)
{
	int saved = errno;
	struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
	fcntl(ring->descriptor, F_OFD_SETLK, &lock);
	errno = saved;
}

int64_t ring_slice_until(int64_t deadline_ns)
{
	if (deadline_ns < 0)
		return SLICE_MS;
	int64_t left = (deadline_ns - monotonic_ns() + 999999) / 1000000;
	return left < 0 ? 0 : left < SLICE_MS ? left : SLICE_MS;
}

int ring_look_around(const struct ring *ring, int watched)
{
	struct stat status;
	if (watched >= 0) {
		struct pollfd pollfd = {.fd = watched};
		if (poll(&pollfd, 1, 0) > 0 && (pollfd.revents & (POLLERR | POLLHUP))) {
			errno = EPIPE;
			return -1;
		}
	}
	if (fstat(ring->descriptor, &status) == 0 && (status.st_nlink == 0 || (uint64_t)status.st_size < ring->length)) {
		errno = status.st_nlink == 0 ? ENOENT : EFAULT;
		return -1;
	}
	return 0;
}

int ring_lock_patiently(const struct ring *ring, int byte, int watched, int64_t timeout_ms, int64_t deadline_ns)
{
	if (timeout_ms == 0)
		deadline_ns = monotonic_ns() + MOMENT_MS * 1000000;
	for (;;) {
		int64_t slice_ms = ring_slice_until(deadline_ns);
		int result = ring_lock(ring, byte, slice_ms > 0 ? slice_ms : 1);
		if (result == 0 || errno != ETIMEDOUT || (deadline_ns >= 0 && monotonic_ns() >= deadline_ns))
			return result;
		if (ring_look_around(ring, watched) < 0)
			return -1;
	}
}

struct glance {
	struct ring *ring;
	uint32_t *flag; /* to be raised, or NULL */
	uint64_t head, claim, tail;
};

static void glance_at(void *context)
{
	struct glance *glance = context;
	struct header *header = glance->ring->header;
	if (glance->flag)
		__atomic_store_n(glance->flag, 1, __ATOMIC_SEQ_CST);
	glance->head = load(&header->head);
	glance->claim = load(&header->claim);
	glance->tail = load(&header->tail);
}

int ring_is_ready(struct ring *ring, uint64_t need, uint32_t *flag)
{
	struct glance glance = {.ring = ring, .flag = flag};
	if (!guarded(glance_at, &glance))
		return -1;
	if (need == 0)
		return glance.tail != glance.claim;
	return glance.tail - glance.head + need <= ring->capacity;
}

static void pause_briefly(void)
{
	for (int i = 0; i < 16; i++)
#if defined(__x86_64__) || defined(__i386__)
		__builtin_ia32_pause();
#elif defined(__aarch64__)
		__asm__ volatile("yield");
#else
		__asm__ volatile("" ::: "memory");
#endif
}

int ring_wait(struct ring *ring, uint64_t need, int watched, int64_t most_ms)
{
	uint32_t *flag = need == 0 ? &ring->header->receivers_wait : &ring->header->senders_wait;
	int ready;
	for (int tries = 0, most = tries_now(&ring->retries); tries < most; tries++) {
		ready = ring_is_ready(ring, need, NULL);
		if (ready != 0) {
			if (tries > 0)
				learn_from(&ring->retries, false);
			return ready;
		}
		pause_briefly();
	}
	learn_from(&ring->retries, true);
	/* A process that makes it ready after this look sees the flag, and this look sees a process that did so before. */
	ready = ring_is_ready(ring, need, flag);
	if (ready != 0)
		return ready;
	if (futex_wait(flag, 1, most_ms) < 0 && errno != EAGAIN && errno != ETIMEDOUT)
		return -1;
	ready = ring_is_ready(ring, need, NULL);
	if (ready != 0)
		return ready;
	return ring_look_around(ring, watched);
}

struct ring *ring_argument(struct arguments *arguments, size_t index)
{
	struct ring *ring = handle_argument(arguments, index, &ring_tag);
	if (ring && !ring->base) {
		napi_throw_type_error(arguments->env, "ERR_INVALID_STATE", "the ring is closed");
		return NULL;
	}
	return ring;
}

static void drop_ring(struct ring *ring)
{
	if (ring->base)
		munmap(ring->base, ring->length);
	free(ring->piece);
	ring->base = NULL;
	ring->piece = NULL;
}

static void finish_ring(napi_env env, void *data, void *hint)
{
	(void)env;
	(void)hint;
	drop_ring(data);
	free(data);
}

/* What the header says, checked: false where the file is not a ring of this version, or not as large as it says. */
static bool read_header(struct ring *ring, uint64_t file_bytes)
{
	struct header header;
	if (pread(ring->descriptor, &header, sizeof header, 0) != (ssize_t)sizeof header)
		return false;
	if (memcmp(header.magic, "ipc-ring", 8) != 0 || header.version != VERSION || header.slots < 1 ||
	    header.slots > MOST_SLOTS || header.data % 8 != 0 ||
	    header.data < sizeof header + header.slots * sizeof(struct slot) || header.data > file_bytes ||
	    header.capacity < 8 || header.capacity % 4 != 0 || header.capacity > file_bytes - header.data)
		return false;
	ring->capacity = header.capacity;
	ring->slots = header.slots;
	ring->length = (size_t)(header.data + header.capacity);
	return true;
}

/* ringOpen(descriptor) -> handle; EBADMSG where the file is not a ring of this version. The descriptor has to stay open. mmap(2) */
static napi_value js_ring_open(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor;
	struct stat status;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &descriptor))
		return NULL;
	if (fstat(descriptor, &status) != 0)
		return throw_errno(env, errno, "fstat");
	struct ring *ring = calloc(1, sizeof *ring);
	uint8_t *piece = malloc(PIECE);
	if (!ring || !piece) {
		free(ring);
		free(piece);
		return throw_errno(env, ENOMEM, "malloc");
	}
	ring->descriptor = descriptor;
	ring->slot = -1;
	ring->retries.allowed = MOST_TRIES;
	ring->piece = piece;
	int problem = 0;
	if (!read_header(ring, (uint64_t)status.st_size)) {
		problem = EBADMSG;
	} else {
		void *base = mmap(NULL, ring->length, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
		if (base == MAP_FAILED)
			problem = errno;
		else
			ring->header = base, ring->base = base;
	}
	if (problem) {
		drop_ring(ring);
		free(ring);
		return throw_errno(env, problem, "ring");
	}
	ring->data = ring->base + (ring->length - ring->capacity);
	return make_handle(env, ring, &ring_tag, finish_ring);
}

/* ringClose(ring): it cannot be used any more; its slot goes with the descriptor. munmap(2) */
static napi_value js_ring_close(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct ring *ring;
	if (!read_arguments(env, info, 1, &arguments) || !(ring = handle_argument(&arguments, 0, &ring_tag)))
		return NULL;
	drop_ring(ring);
	return js_undefined(env);
}

static const struct export table[] = {
	{"ringOpen", js_ring_open},
	{"ringClose", js_ring_close},
};

void export_ring(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
	EXPORT_ALL(env, exports, ring_send_table);
	EXPORT_ALL(env, exports, ring_receive_table);
	EXPORT_ALL(env, exports, ring_deliver_table);
}
