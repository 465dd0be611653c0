/*
 * Shared memory: files that are mapped, and words in them that are changed in one step. shm_overview(7), mmap(2), futex(2)
 *
 * Every touch is checked against the size the file has now, and guarded (guard.c) against what happens between the
 * check and the touch.
 */
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Bytes mapped at a time: a file may be larger than the address space. Mapping beyond the end of the file does no harm. */
#define WINDOW (1 << 26)

struct mapping {
	int descriptor; /* the caller's; not closed here */
	uint8_t *base;  /* of the window that is mapped; NULL before the first touch, and after the last */
	int64_t start;
	bool is_writable, is_closed;
};

static const napi_type_tag mapping_tag = {0x6970632d73686d21, 0x6d617070696e6721};

static void drop(struct mapping *mapping)
{
	if (mapping->base)
		munmap(mapping->base, WINDOW);
	mapping->base = NULL;
}

static void finish_mapping(napi_env env, void *data, void *hint)
{
	(void)env;
	(void)hint;
	drop(data);
	free(data);
}

static struct mapping *mapping_argument(struct arguments *arguments, size_t index)
{
	struct mapping *mapping = handle_argument(arguments, index, &mapping_tag);
	if (mapping && mapping->is_closed) {
		napi_throw_type_error(arguments->env, "ERR_INVALID_STATE", "the mapping is closed");
		return NULL;
	}
	return mapping;
}

/*
 * Where a word lies: NULL with ENXIO where it lies beyond the end, with EINVAL where it is not aligned.
 */
static void *locate(struct mapping *mapping, int64_t offset, int width)
{
	struct stat status;
	if ((width != 4 && width != 8) || offset < 0 || offset % width != 0) {
		errno = EINVAL;
		return NULL;
	}
	if (fstat(mapping->descriptor, &status) != 0)
		return NULL;
	if (offset > status.st_size - width) {
		errno = ENXIO;
		return NULL;
	}
	int64_t start = offset / WINDOW * WINDOW;
	if (!mapping->base || start != mapping->start) {
		int protection = PROT_READ | (mapping->is_writable ? PROT_WRITE : 0);
		drop(mapping);
		void *base = mmap(NULL, WINDOW, protection, MAP_SHARED, mapping->descriptor, start);
		if (base == MAP_FAILED)
			return NULL;
		mapping->base = base;
		mapping->start = start;
	}
	return mapping->base + (offset - start);
}

/* shmMap(descriptor, writable) -> handle. The descriptor stays the caller's and has to stay open. mmap(2) */
static napi_value js_shm_map(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor;
	bool is_writable;
	if (!read_arguments(env, info, 2, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !bool_argument(&arguments, 1, &is_writable))
		return NULL;
	struct mapping *mapping = calloc(1, sizeof *mapping);
	if (!mapping)
		return throw_errno(env, ENOMEM, "calloc");
	mapping->descriptor = descriptor;
	mapping->is_writable = is_writable;
	return make_handle(env, mapping, &mapping_tag, finish_mapping);
}

/* shmUnmap(handle): it cannot be used any more. munmap(2) */
static napi_value js_shm_unmap(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct mapping *mapping;
	if (!read_arguments(env, info, 1, &arguments) || !(mapping = handle_argument(&arguments, 0, &mapping_tag)))
		return NULL;
	drop(mapping);
	mapping->is_closed = true;
	return js_undefined(env);
}

enum operation { LOAD, EXCHANGE, ADD, COMPARE_EXCHANGE };

struct step {
	enum operation operation;
	void *address;
	int width;
	uint64_t value, expected, found;
};

static void take_step(void *context)
{
	struct step *step = context;
	uint32_t *word32 = step->address, expected32 = (uint32_t)step->expected;
	uint64_t *word64 = step->address;
	bool is_32 = step->width == 4;
	switch (step->operation) {
	case LOAD:
		step->found = is_32 ? __atomic_load_n(word32, __ATOMIC_SEQ_CST) : __atomic_load_n(word64, __ATOMIC_SEQ_CST);
		break;
	case EXCHANGE:
		step->found = is_32 ? __atomic_exchange_n(word32, (uint32_t)step->value, __ATOMIC_SEQ_CST)
				    : __atomic_exchange_n(word64, step->value, __ATOMIC_SEQ_CST);
		break;
	case ADD:
		step->found = is_32 ? __atomic_fetch_add(word32, (uint32_t)step->value, __ATOMIC_SEQ_CST)
				    : __atomic_fetch_add(word64, step->value, __ATOMIC_SEQ_CST);
		break;
	case COMPARE_EXCHANGE:
		step->found = step->expected;
		if (is_32) {
			__atomic_compare_exchange_n(word32, &expected32, (uint32_t)step->value, false, __ATOMIC_SEQ_CST,
						    __ATOMIC_SEQ_CST);
			step->found = expected32;
		} else {
			__atomic_compare_exchange_n(word64, &step->found, step->value, false, __ATOMIC_SEQ_CST,
						    __ATOMIC_SEQ_CST);
		}
	}
}

/* handle, offset, width and then the values that the operation takes; answers what the word held before. */
static napi_value do_step(napi_env env, napi_callback_info info, enum operation operation, size_t values)
{
	struct arguments arguments;
	struct step step = {.operation = operation};
	int64_t offset, number[2] = {0, 0};
	struct mapping *mapping;
	napi_value found;
	if (!read_arguments(env, info, 3 + values, &arguments) || !(mapping = mapping_argument(&arguments, 0)) ||
	    !int64_argument(&arguments, 1, &offset) || !int_argument(&arguments, 2, &step.width))
		return NULL;
	for (size_t i = 0; i < values; i++)
		if (!int64_argument(&arguments, 3 + i, &number[i]))
			return NULL;
	if (operation != LOAD && !mapping->is_writable)
		return throw_errno(env, EACCES, "mmap");
	step.address = locate(mapping, offset, step.width);
	if (!step.address)
		return throw_errno(env, errno, "mmap");
	step.value = (uint64_t)number[values == 2 ? 1 : 0];
	step.expected = (uint64_t)number[0];
	if (!guarded(take_step, &step))
		return throw_errno(env, errno, "mmap");
	napi_create_bigint_uint64(env, step.found, &found);
	return found;
}

/* atomicLoad(handle, offset, width) -> value. mmap(2) */
static napi_value js_atomic_load(napi_env env, napi_callback_info info)
{
	return do_step(env, info, LOAD, 0);
}

/* atomicExchange(handle, offset, width, value) -> value before. mmap(2) */
static napi_value js_atomic_exchange(napi_env env, napi_callback_info info)
{
	return do_step(env, info, EXCHANGE, 1);
}

/* atomicAdd(handle, offset, width, value) -> value before; wraps around. mmap(2) */
static napi_value js_atomic_add(napi_env env, napi_callback_info info)
{
	return do_step(env, info, ADD, 1);
}

/* atomicCompareExchange(handle, offset, width, expected, value) -> value before. mmap(2) */
static napi_value js_atomic_compare_exchange(napi_env env, napi_callback_info info)
{
	return do_step(env, info, COMPARE_EXCHANGE, 2);
}

/*
 * futexWait(handle, offset, expected, timeoutMs) -> whether it was woken; false when the 32 bits there are not (or no
 * longer) the expected ones, or the time is over. futex(2)
 */
static napi_value js_futex_wait(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int64_t offset, expected, timeout_ms;
	struct mapping *mapping;
	napi_value woken;
	if (!read_arguments(env, info, 4, &arguments) || !(mapping = mapping_argument(&arguments, 0)) ||
	    !int64_argument(&arguments, 1, &offset) || !int64_argument(&arguments, 2, &expected) ||
	    !int64_argument(&arguments, 3, &timeout_ms))
		return NULL;
	void *word = locate(mapping, offset, 4);
	if (!word)
		return throw_errno(env, errno, "mmap");
	int result = futex_wait(word, (uint32_t)expected, timeout_ms);
	if (result != 0 && errno != EAGAIN && errno != ETIMEDOUT)
		return throw_errno(env, errno, "futex");
	napi_get_boolean(env, result == 0, &woken);
	return woken;
}

/* futexWake(handle, offset): wakes all processes that wait for a change of the 32 bits there. futex(2) */
static napi_value js_futex_wake(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int64_t offset;
	struct mapping *mapping;
	if (!read_arguments(env, info, 2, &arguments) || !(mapping = mapping_argument(&arguments, 0)) ||
	    !int64_argument(&arguments, 1, &offset))
		return NULL;
	void *word = locate(mapping, offset, 4);
	if (!word)
		return throw_errno(env, errno, "mmap");
	futex_wake(word, INT_MAX);
	return js_undefined(env);
}

/* fallocate(descriptor, length): reserves the memory of the first `length` bytes; the file grows to them. fallocate(2) */
static napi_value js_fallocate(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor;
	int64_t length;
	if (!read_arguments(env, info, 2, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !int64_argument(&arguments, 1, &length))
		return NULL;
	struct wait wait;
	int result;
	wait_begin(&wait, -1);
	do
		result = wait_allows(&wait) ? fallocate(descriptor, 0, 0, length) : -1;
	while (result < 0 && wait_goes_on(&wait));
	wait_end(&wait);
	return result < 0 ? throw_errno(env, errno, "fallocate") : js_undefined(env);
}

struct storing {
	uint8_t *to;
	const uint8_t *from;
	size_t length;
};

static void store_bytes(void *context)
{
	struct storing *storing = context;
	memcpy(storing->to, storing->from, storing->length);
}

/*
 * Through a mapping and not by pwrite(2), which would make a file larger again that another process has made smaller just
 * now: what lies beyond the end of a mapping is lost at worst, and that shows afterwards.
 */
bool store_within(int descriptor, int64_t offset, const uint8_t *data, size_t length)
{
	struct stat status;
	if (length == 0)
		return true;
	if (fstat(descriptor, &status) != 0)
		return false;
	if (offset > status.st_size || (uint64_t)(status.st_size - offset) < length) {
		errno = ENXIO;
		return false;
	}
	int64_t start = offset - offset % sysconf(_SC_PAGESIZE);
	size_t before = (size_t)(offset - start);
	uint8_t *base = mmap(NULL, before + length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, descriptor, start);
	if (base == MAP_FAILED)
		return false;
	struct storing storing = {.to = base + before, .from = data, .length = length};
	bool is_stored = guarded(store_bytes, &storing);
	int problem = errno;
	munmap(base, before + length);
	if (fstat(descriptor, &status) == 0 && status.st_size < offset + (int64_t)length) {
		errno = ENXIO;
		return false;
	}
	/* The place is there, and its memory is not: it was never reserved, and there is none left. */
	errno = !is_stored && problem == EFAULT ? ENOSPC : problem;
	return is_stored;
}

/* storeWithin(descriptor, offset, bytes): ENXIO if they reach beyond the end, ENOSPC if there is no memory. mmap(2) */
static napi_value js_store_within(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor;
	int64_t offset;
	struct bytes bytes;
	if (!read_arguments(env, info, 3, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !int64_argument(&arguments, 1, &offset) || !bytes_argument(&arguments, 2, &bytes))
		return NULL;
	if (offset < 0)
		return throw_errno(env, EINVAL, "mmap");
	if (!store_within(descriptor, offset, bytes.data, bytes.length))
		return throw_errno(env, errno, "mmap");
	return js_undefined(env);
}

/*
 * hasOnlyZeros(descriptor) -> whether nothing but zeros is in a file. What was never stored is not read: a file of many
 * terabytes may be empty. A caught signal: EINTR. lseek(2), SEEK_DATA
 */
static napi_value js_has_only_zeros(napi_env env, napi_callback_info info)
{
	static const size_t piece = 1 << 18;
	struct arguments arguments;
	int descriptor;
	napi_value result;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &descriptor))
		return NULL;
	uint8_t *bytes = malloc(piece);
	if (!bytes)
		return throw_errno(env, ENOMEM, "malloc");
	off_t at = 0, hole = 0;
	bool is_clean = true;
	int problem = 0;
	while (is_clean && !problem) {
		if (at >= hole) {
			at = lseek(descriptor, at, SEEK_DATA);
			hole = at < 0 ? -1 : lseek(descriptor, at, SEEK_HOLE);
			if (hole < 0) {
				problem = errno == ENXIO ? 0 : errno;
				break;
			}
		}
		size_t wanted = hole - at < (off_t)piece ? (size_t)(hole - at) : piece;
		ssize_t count = pread(descriptor, bytes, wanted, at);
		if (count < 0 || take_stop())
			problem = errno;
		if (count == 0)
			break;
		if (count > 0)
			is_clean = bytes[0] == 0 && memcmp(bytes, bytes + 1, (size_t)count - 1) == 0;
		at += count;
	}
	free(bytes);
	if (problem)
		return throw_errno(env, problem, "lseek");
	napi_get_boolean(env, is_clean, &result);
	return result;
}

/* memfdCreate(name) -> a file in memory that has no name in any folder. memfd_create(2) */
static napi_value js_memfd_create(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	char *name;
	if (!read_arguments(env, info, 1, &arguments) || !text_argument(&arguments, 0, &name))
		return NULL;
	int descriptor = (int)syscall(SYS_memfd_create, name, 1U /* MFD_CLOEXEC */);
	free(name);
	return descriptor < 0 ? throw_errno(env, errno, "memfd_create") : js_number(env, descriptor);
}

static const struct export table[] = {
	{"shmMap", js_shm_map},
	{"shmUnmap", js_shm_unmap},
	{"atomicLoad", js_atomic_load},
	{"atomicExchange", js_atomic_exchange},
	{"atomicAdd", js_atomic_add},
	{"atomicCompareExchange", js_atomic_compare_exchange},
	{"futexWait", js_futex_wait},
	{"futexWake", js_futex_wake},
	{"fallocate", js_fallocate},
	{"storeWithin", js_store_within},
	{"hasOnlyZeros", js_has_only_zeros},
	{"memfdCreate", js_memfd_create},
};

void export_shm(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
