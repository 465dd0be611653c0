/*
 * POSIX named semaphores. sem_overview(7)
 *
 * A named semaphore is a small file in /dev/shm that every process maps. Here the caller opens and checks that file
 * (sem_open(3) checks nothing: a file that is too short would end us with SIGBUS), and what is mapped is used by libc's
 * own functions, so that all programs agree about it.
 *
 * What libc cannot do is in semaphore-words.c.
 */
#include "semaphore.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef __GLIBC__
#define PREFIX "sem." /* of the file's name; musl has none, so a segment of shared memory can have the same file */
#else
#define PREFIX ""
#endif

static const napi_type_tag type_tag = {0x6f8a1c52d0b34e77, 0x9a3d5e10c7f24b86};

static sem_t *libc_semaphore(const struct semaphore *semaphore)
{
	return (sem_t *)(void *)semaphore->words;
}

static void free_semaphore(napi_env env, void *data, void *hint)
{
	(void)env, (void)hint;
	struct semaphore *semaphore = data;
	if (semaphore->words)
		munmap(semaphore->words, sizeof(sem_t));
	free(semaphore);
}

struct semaphore *semaphore_argument(struct arguments *arguments, size_t index, bool writes)
{
	struct semaphore *semaphore = handle_argument(arguments, index, &type_tag);
	if (!semaphore)
		return NULL;
	if (!semaphore->words)
		return throw_errno(arguments->env, EBADF, "sem_open"), NULL;
	if (writes && !semaphore->writable)
		return throw_errno(arguments->env, EACCES, "sem_open"), NULL;
	return semaphore;
}

static struct semaphore *only_argument(napi_env env, napi_callback_info info, bool writes)
{
	struct arguments arguments;
	return read_arguments(env, info, 1, &arguments) ? semaphore_argument(&arguments, 0, writes) : NULL;
}

static napi_value js_boolean(napi_env env, bool truth)
{
	napi_value result = NULL;
	napi_get_boolean(env, truth, &result);
	return result;
}

/* semPrefix() -> what the name of a semaphore's file begins with. sem_overview(7) */
static napi_value js_sem_prefix(napi_env env, napi_callback_info info)
{
	(void)info;
	napi_value result = NULL;
	napi_create_string_utf8(env, PREFIX, NAPI_AUTO_LENGTH, &result);
	return result;
}

/* semSize() -> the bytes of a semaphore's file. ENOSYS where this libc's semaphores are unknown. sem_overview(7) */
static napi_value js_sem_size(napi_env env, napi_callback_info info)
{
	(void)info;
	return semaphore_layout_is_known() ? js_number(env, sizeof(sem_t)) : throw_errno(env, ENOSYS, "sem_init");
}

/* semCreate(name, mode, value): the name with its slash; EEXIST when there is one. The umask applies. sem_open(3) */
static napi_value js_sem_create(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int mode;
	int64_t value;
	char *name;
	if (!read_arguments(env, info, 3, &arguments) || !int_argument(&arguments, 1, &mode) ||
	    !int64_argument(&arguments, 2, &value) || !text_argument(&arguments, 0, &name))
		return NULL;
	errno = EINVAL;
	sem_t *semaphore = value < 0 || value > SEM_VALUE_MAX
				   ? SEM_FAILED
				   : sem_open(name, O_CREAT | O_EXCL, (mode_t)mode, (unsigned)value);
	free(name);
	if (semaphore == SEM_FAILED)
		return throw_errno(env, errno, "sem_open");
	sem_close(semaphore);
	return js_undefined(env);
}

/* semUnlink(name): the name with its slash. sem_unlink(3) */
static napi_value js_sem_unlink(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	char *name;
	if (!read_arguments(env, info, 1, &arguments) || !text_argument(&arguments, 0, &name))
		return NULL;
	int result = sem_unlink(name);
	free(name);
	return result < 0 ? throw_errno(env, errno, "sem_unlink") : js_undefined(env);
}

struct look {
	const struct words *words;
	uint32_t shared;
};

static void look_at(void *context)
{
	struct look *look = context;
	look->shared = look->words->shared;
}

/*
 * semMap(descriptor, writable) -> handle. The file has to be a semaphore's: its size checked, and EILSEQ where it was
 * made by another libc or holds something else. mmap(2)
 */
static napi_value js_sem_map(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor;
	bool writable;
	if (!read_arguments(env, info, 2, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !bool_argument(&arguments, 1, &writable))
		return NULL;
	struct semaphore *semaphore = calloc(1, sizeof *semaphore);
	if (!semaphore)
		return throw_errno(env, ENOMEM, "calloc");
	int protection = PROT_READ | (writable ? PROT_WRITE : 0);
	void *memory = mmap(NULL, sizeof(sem_t), protection, MAP_SHARED, descriptor, 0);
	if (memory == MAP_FAILED) {
		free(semaphore);
		return throw_errno(env, errno, "mmap");
	}
	semaphore->words = memory;
	semaphore->writable = writable;
	semaphore->mark = mark_of_libc();
	struct look look = {.words = memory};
	int number = !guarded(look_at, &look) ? errno : look.shared != SHARED_WORD ? EILSEQ : 0;
	if (number) {
		free_semaphore(env, semaphore, NULL);
		return throw_errno(env, number, "sem_open");
	}
	return make_handle(env, semaphore, &type_tag, free_semaphore);
}

/* semUnmap(handle): later use gets EBADF. munmap(2) */
static napi_value js_sem_unmap(napi_env env, napi_callback_info info)
{
	struct semaphore *semaphore = only_argument(env, info, false);
	if (!semaphore)
		return NULL;
	munmap(semaphore->words, sizeof(sem_t));
	semaphore->words = NULL;
	return js_undefined(env);
}

struct touch touch_of(const struct semaphore *semaphore, int64_t argument)
{
	return (struct touch){.words = semaphore->words,
			      .semaphore = libc_semaphore(semaphore),
			      .mark = semaphore->mark,
			      .argument = argument};
}

/* Does something with a semaphore; throws and answers false where that failed. */
static bool touch(napi_env env, struct semaphore *semaphore, void (*work)(void *), struct touch *touch, const char *call)
{
	*touch = touch_of(semaphore, touch->argument);
	if (!guarded(work, touch))
		touch->problem = errno;
	if (touch->problem)
		throw_errno(env, touch->problem, call);
	return !touch->problem;
}

/* The same for functions whose only argument is the handle, and whose result is a number. */
static napi_value touch_only(napi_env env, napi_callback_info info, bool writes, void (*work)(void *), const char *call)
{
	struct semaphore *semaphore = only_argument(env, info, writes);
	struct touch context = {0};
	return semaphore && touch(env, semaphore, work, &context, call) ? js_number(env, (double)context.result) : NULL;
}

/* And for those that take a number as well. */
static bool touch_with(napi_env env, napi_callback_info info, void (*work)(void *), struct touch *context,
		       const char *call)
{
	struct arguments arguments;
	struct semaphore *semaphore;
	return read_arguments(env, info, 2, &arguments) && (semaphore = semaphore_argument(&arguments, 0, true)) &&
	       int64_argument(&arguments, 1, &context->argument) && touch(env, semaphore, work, context, call);
}

void semaphore_get_value(void *context)
{
	struct touch *touch = context;
	int value = 0;
	if (sem_getvalue(touch->semaphore, &value) != 0)
		touch->problem = errno;
	touch->result = value;
}

/* semGetvalue(handle) -> its value. sem_getvalue(3) */
static napi_value js_sem_getvalue(napi_env env, napi_callback_info info)
{
	return touch_only(env, info, false, semaphore_get_value, "sem_getvalue");
}

static void get_waiters(void *context)
{
	struct touch *touch = context;
	touch->result = __atomic_load_n(&touch->words->waiters, __ATOMIC_RELAXED);
}

/* semWaiters(handle) -> how many wait, as libc counts them: one that was killed while it waited stays counted. */
static napi_value js_sem_waiters(napi_env env, napi_callback_info info)
{
	return touch_only(env, info, false, get_waiters, "sem_getvalue");
}

static void get_tag(void *context)
{
	struct touch *touch = context;
	touch->result = __atomic_load_n(&touch->words->tag, __ATOMIC_SEQ_CST);
}

/* semTag(handle) -> the tag that was set last. */
static napi_value js_sem_tag(napi_env env, napi_callback_info info)
{
	return touch_only(env, info, false, get_tag, "sem_getvalue");
}

void semaphore_try_wait(void *context)
{
	struct touch *touch = context;
	int result;
	do
		result = sem_trywait(touch->semaphore);
	while (result != 0 && errno == EINTR);
	if (result != 0 && errno != EAGAIN)
		touch->problem = errno;
	touch->result = result == 0;
}

/* semTrywait(handle) -> whether a unit was there and is taken. sem_trywait(3) */
static napi_value js_sem_trywait(napi_env env, napi_callback_info info)
{
	struct semaphore *semaphore = only_argument(env, info, true);
	struct touch context = {0};
	return semaphore && touch(env, semaphore, semaphore_try_wait, &context, "sem_trywait") ? js_boolean(env, context.result) : NULL;
}

/* In a loop of sem_post(3) a kill would leave some of the units posted, and many units would take minutes. */
void semaphore_post(void *context)
{
	struct touch *touch = context;
	struct words *words = touch->words;
	if (touch->argument < 0) {
		touch->problem = EINVAL;
		return;
	}
	uint32_t units, value = __atomic_load_n(&words->value, __ATOMIC_SEQ_CST);
	do {
		units = units_of(value, touch->mark);
		if (touch->argument > (int64_t)SEM_VALUE_MAX - (int64_t)units)
			return;
		/* Without a mark: all that wait are woken, and those that go on waiting set it again. */
	} while (!__atomic_compare_exchange_n(&words->value, &value, units + (uint32_t)touch->argument, false, __ATOMIC_SEQ_CST,
					      __ATOMIC_SEQ_CST));
	touch->result = 1;
	if (value != units || __atomic_load_n(&words->waiters, __ATOMIC_SEQ_CST) > 0)
		futex_wake(&words->value, touch->mark == NO_MARK ? (int)touch->argument : INT_MAX);
}

/* semPost(handle, count) -> whether there was room for all, and they are posted, in one step. sem_post(3) */
static napi_value js_sem_post(napi_env env, napi_callback_info info)
{
	struct touch context = {0};
	return touch_with(env, info, semaphore_post, &context, "sem_post") ? js_boolean(env, context.result) : NULL;
}

static void await_unit(void *context)
{
	struct touch *touch = context;
	struct words *words = touch->words;
	int64_t deadline_ns = touch->argument < 0 ? -1 : monotonic_ns() + touch->argument * 1000000, left = -1;
	__atomic_add_fetch(&words->waiters, 1, __ATOMIC_SEQ_CST);
	while (!touch->problem) {
		uint32_t value = __atomic_load_n(&words->value, __ATOMIC_SEQ_CST);
		if (units_of(value, touch->mark) > 0)
			break;
		if (touch->mark != NO_MARK) {
			uint32_t marked = touch->mark == MARK_BIT ? HIGHEST_BIT : UINT32_MAX;
			if (value != marked && !__atomic_compare_exchange_n(&words->value, &value, marked, false,
									     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
				continue;
			value = marked;
		}
		if (deadline_ns >= 0)
			left = (deadline_ns - monotonic_ns() + 999999) / 1000000;
		if (futex_wait(&words->value, value, deadline_ns >= 0 && left < 0 ? 0 : left) < 0 && errno != EAGAIN)
			touch->problem = errno;
	}
	__atomic_sub_fetch(&words->waiters, 1, __ATOMIC_SEQ_CST);
}

/*
 * semAwait(handle, timeoutMs): until its value is not zero, and takes nothing; ETIMEDOUT, EINTR. futex(2)
 *
 * It counts itself as waiting, as libc does: sem_post(3) wakes no process otherwise. A wake that came for a process
 * who then takes nothing has to be passed on: see semWake.
 */
static napi_value js_sem_await(napi_env env, napi_callback_info info)
{
	struct touch context = {0};
	return touch_with(env, info, await_unit, &context, "futex") ? js_undefined(env) : NULL;
}

static void wake(void *context)
{
	struct touch *touch = context;
	if (__atomic_load_n(&touch->words->waiters, __ATOMIC_SEQ_CST) > 0)
		futex_wake(&touch->words->value, (int)touch->argument);
}

/* semWake(handle, count): wakes this many waiting processes, so that they look for a unit. Harmless. futex(2) */
static napi_value js_sem_wake(napi_env env, napi_callback_info info)
{
	struct touch context = {0};
	return touch_with(env, info, wake, &context, "futex") ? js_undefined(env) : NULL;
}

static void take_tagged(void *context)
{
	struct touch *touch = context;
	touch->result = change_tagged(touch->words, touch->mark, -1, (uint32_t)touch->argument);
}

/* semTakeTagged(handle, tag) -> whether a unit was there and is taken, and the tag set, in one step. */
static napi_value js_sem_take_tagged(napi_env env, napi_callback_info info)
{
	struct touch context = {0};
	return touch_with(env, info, take_tagged, &context, "sem_trywait") ? js_boolean(env, context.result) : NULL;
}

static void give_tagged(void *context)
{
	struct touch *touch = context;
	touch->result = change_tagged(touch->words, touch->mark, 1, (uint32_t)touch->argument);
}

/* semGiveTagged(handle, tag) -> whether there was room for one more, and the tag set, atomically. Wakes no process. */
static napi_value js_sem_give_tagged(napi_env env, napi_callback_info info)
{
	struct touch context = {0};
	return touch_with(env, info, give_tagged, &context, "sem_post") ? js_boolean(env, context.result) : NULL;
}

static const struct export table[] = {
	{"semSize", js_sem_size},
	{"semPrefix", js_sem_prefix},
	{"semCreate", js_sem_create},
	{"semUnlink", js_sem_unlink},
	{"semMap", js_sem_map},
	{"semUnmap", js_sem_unmap},
	{"semGetvalue", js_sem_getvalue},
	{"semWaiters", js_sem_waiters},
	{"semTrywait", js_sem_trywait},
	{"semPost", js_sem_post},
	{"semAwait", js_sem_await},
	{"semWake", js_sem_wake},
	{"semTakeTagged", js_sem_take_tagged},
	{"semGiveTagged", js_sem_give_tagged},
	{"semTag", js_sem_tag},
};

void export_semaphore(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
