/* Descriptors of any kind: opening, reading, writing, polling, locking, watching. */
#include "native.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* openat(folder, path, flags, mode, timeoutMs) -> descriptor. May block (a FIFO without its other side). openat(2), fifo(7) */
static napi_value js_openat(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int folder, flags, mode;
	int64_t timeout_ms;
	char *path;
	if (!read_arguments(env, info, 5, &arguments) || !int_argument(&arguments, 0, &folder) ||
	    !int_argument(&arguments, 2, &flags) || !int_argument(&arguments, 3, &mode) ||
	    !int64_argument(&arguments, 4, &timeout_ms) || !text_argument(&arguments, 1, &path))
		return NULL;
	struct wait wait;
	int descriptor;
	/* What only names a file never waits, so no signal must end it. */
	bool waits = (flags & O_PATH) == 0;
	wait_begin(&wait, timeout_ms);
	bool began = peer_wait_begin();
	do
		descriptor = !waits || wait_allows(&wait) ? openat(folder, path, flags | O_CLOEXEC, (mode_t)mode) : -1;
	while (descriptor < 0 && waits && wait_goes_on(&wait));
	if (began)
		peer_wait_end(true);
	wait_end(&wait);
	free(path);
	if (descriptor < 0)
		return throw_errno(env, errno, "openat");
	return js_number(env, descriptor);
}

/* mkfifoat(folder, name, mode). mkfifoat(3) */
static napi_value js_mkfifoat(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int folder, mode;
	char *name;
	if (!read_arguments(env, info, 3, &arguments) || !int_argument(&arguments, 0, &folder) ||
	    !int_argument(&arguments, 2, &mode) || !text_argument(&arguments, 1, &name))
		return NULL;
	int result = mkfifoat(folder, name, (mode_t)mode);
	free(name);
	return result < 0 ? throw_errno(env, errno, "mkfifoat") : js_undefined(env);
}

/* unlinkat(folder, name). unlinkat(2) */
static napi_value js_unlinkat(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int folder;
	char *name;
	if (!read_arguments(env, info, 2, &arguments) || !int_argument(&arguments, 0, &folder) ||
	    !text_argument(&arguments, 1, &name))
		return NULL;
	int result = unlinkat(folder, name, 0);
	free(name);
	return result < 0 ? throw_errno(env, errno, "unlinkat") : js_undefined(env);
}

/*
 * readdir(folder) -> [name, type, name, type …], without . and ..; the types are those of <dirent.h>. Through /proc it
 * could be had by path, but /proc may be missing. readdir(3)
 */
static napi_value js_readdir(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int folder;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &folder))
		return NULL;
	/* One of our own: the folder's keeps its place. */
	int own = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = own < 0 ? NULL : fdopendir(own);
	if (!entries) {
		int number = errno;
		if (own >= 0)
			close(own);
		return throw_errno(env, number, "readdir");
	}
	napi_value found, name;
	uint32_t length = 0;
	napi_create_array(env, &found);
	for (struct dirent *entry; (entry = readdir(entries));) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		struct stat status;
		int type = entry->d_type;
		if (type == DT_UNKNOWN && fstatat(own, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0)
			type = IFTODT(status.st_mode);
		napi_create_string_utf8(env, entry->d_name, NAPI_AUTO_LENGTH, &name);
		napi_set_element(env, found, length++, name);
		napi_set_element(env, found, length++, js_number(env, type));
	}
	closedir(entries);
	return found;
}

/*
 * linkDescriptor(descriptor, path): a file that was opened without a name (O_TMPFILE) gets one. Without /proc only a
 * process with CAP_DAC_READ_SEARCH can do that. linkat(2)
 */
static napi_value js_link_descriptor(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor;
	char *path, own[32];
	if (!read_arguments(env, info, 2, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !text_argument(&arguments, 1, &path))
		return NULL;
	snprintf(own, sizeof own, "/proc/self/fd/%d", descriptor);
	int result = linkat(AT_FDCWD, own, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
	if (result < 0 && errno == ENOENT)
		result = linkat(descriptor, "", AT_FDCWD, path, AT_EMPTY_PATH);
	free(path);
	return result < 0 ? throw_errno(env, errno, "linkat") : js_undefined(env);
}

/* renameat2(folder, from, to, flags): both names in that folder; RENAME_EXCHANGE (2) swaps them. renameat2(2) */
static napi_value js_renameat2(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int folder, flags;
	char *from, *to;
	if (!read_arguments(env, info, 4, &arguments) || !int_argument(&arguments, 0, &folder) ||
	    !int_argument(&arguments, 3, &flags) || !text_argument(&arguments, 1, &from))
		return NULL;
	if (!text_argument(&arguments, 2, &to)) {
		free(from);
		return NULL;
	}
	int result = (int)syscall(SYS_renameat2, folder, from, folder, to, (unsigned)flags);
	free(from);
	free(to);
	return result < 0 ? throw_errno(env, errno, "renameat2") : js_undefined(env);
}

/* descriptor, bytes, offset, length: what read and write take, and the part of the buffer that is meant. */
static bool read_part(napi_env env, napi_callback_info info, int *descriptor, struct bytes *part)
{
	struct arguments arguments;
	int64_t offset, length;
	if (!read_arguments(env, info, 4, &arguments) || !int_argument(&arguments, 0, descriptor) ||
	    !bytes_argument(&arguments, 1, part) || !int64_argument(&arguments, 2, &offset) ||
	    !int64_argument(&arguments, 3, &length))
		return false;
	if (offset < 0 || length < 0 || (uint64_t)offset + (uint64_t)length > part->length) {
		napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "outside the buffer");
		return false;
	}
	part->data += offset;
	part->length = (size_t)length;
	return true;
}

/* read(descriptor, bytes, offset, length) -> how many; 0 at the end, -1 when it would have to wait. read(2) */
static napi_value js_read(napi_env env, napi_callback_info info)
{
	int descriptor;
	struct bytes part;
	struct wait wait;
	ssize_t count;
	if (!read_part(env, info, &descriptor, &part))
		return NULL;
	wait_begin(&wait, -1);
	do
		count = wait_allows(&wait) ? read(descriptor, part.data, part.length) : -1;
	while (count < 0 && wait_goes_on(&wait));
	wait_end(&wait);
	return count < 0 && errno != EAGAIN ? throw_errno(env, errno, "read") : js_number(env, (double)count);
}

/*
 * write(descriptor, bytes, offset, length) -> how many, which may be fewer; -1 when it would have to wait.
 * Where the descriptor blocks, so does this. write(2), pipe(7)
 */
static napi_value js_write(napi_env env, napi_callback_info info)
{
	int descriptor;
	struct bytes part;
	struct wait wait;
	ssize_t count;
	if (!read_part(env, info, &descriptor, &part))
		return NULL;
	wait_begin(&wait, -1);
	do
		count = wait_allows(&wait) ? write(descriptor, part.data, part.length) : -1;
	while (count < 0 && wait_goes_on(&wait));
	wait_end(&wait);
	return count < 0 && errno != EAGAIN ? throw_errno(env, errno, "write") : js_number(env, (double)count);
}

/*
 * poll(descriptors, timeoutMs) -> how many are ready. The array holds triples: descriptor (negative: passed over),
 * events asked for, events that came (filled in). poll(2)
 */
static napi_value js_poll(napi_env env, napi_callback_info info)
{
	enum { MOST = 1024 };
	struct arguments arguments;
	int32_t *triples;
	size_t length;
	int64_t timeout_ms;
	if (!read_arguments(env, info, 2, &arguments) || !int32_array_argument(&arguments, 0, &triples, &length) ||
	    !int64_argument(&arguments, 1, &timeout_ms))
		return NULL;
	size_t count = length / 3;
	if (length % 3 != 0 || count > MOST)
		return napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "triples expected, 1024 at most"), NULL;
	struct pollfd descriptors[MOST];
	for (size_t i = 0; i < count; i++)
		descriptors[i] = (struct pollfd){.fd = triples[3 * i], .events = (short)triples[3 * i + 1]};
	/* What a user types, and room on stdout, are not for another process to give. */
	bool is_ours = timeout_ms == 0;
	for (size_t i = 0; i < count; i++)
		is_ours |= descriptors[i].fd == STDIN_FILENO || (descriptors[i].fd == STDOUT_FILENO && descriptors[i].events);
	if (!is_ours)
		peer_wait_begin();
	int ready = poll_until(descriptors, count, timeout_ms);
	if (!is_ours)
		peer_wait_end(ready > 0);
	if (ready < 0)
		return throw_errno(env, errno, "poll");
	for (size_t i = 0; i < count; i++)
		triples[3 * i + 2] = descriptors[i].revents;
	return js_number(env, ready);
}

/* flock(descriptor, operation, timeoutMs); ETIMEDOUT after the deadline. flock(2) */
static napi_value js_flock(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor, operation;
	int64_t timeout_ms;
	if (!read_arguments(env, info, 3, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !int_argument(&arguments, 1, &operation) || !int64_argument(&arguments, 2, &timeout_ms))
		return NULL;
	struct wait wait;
	int result;
	if (operation == LOCK_UN) {
		/* This never waits, so no signal must end it. */
		result = flock(descriptor, operation);
		return result < 0 ? throw_errno(env, errno, "flock") : js_undefined(env);
	}
	wait_begin(&wait, timeout_ms);
	bool began = peer_wait_begin();
	do
		result = wait_allows(&wait) ? flock(descriptor, operation) : -1;
	while (result < 0 && wait_goes_on(&wait));
	if (began)
		peer_wait_end(true);
	wait_end(&wait);
	return result < 0 ? throw_errno(env, errno, "flock") : js_undefined(env);
}

static bool read_range(struct arguments *arguments, int *descriptor, struct flock *lock)
{
	int type;
	int64_t start, length;
	if (!int_argument(arguments, 0, descriptor) || !int_argument(arguments, 1, &type) ||
	    !int64_argument(arguments, 2, &start) || !int64_argument(arguments, 3, &length))
		return false;
	memset(lock, 0, sizeof *lock);
	lock->l_type = (short)type;
	lock->l_whence = SEEK_SET;
	lock->l_start = start;
	lock->l_len = length;
	return true;
}

/* ofdSetlkw(descriptor, type, start, length, timeoutMs); ETIMEDOUT after the deadline. fcntl(2), "Open file description locks" */
static napi_value js_ofd_setlkw(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor;
	struct flock lock;
	int64_t timeout_ms;
	if (!read_arguments(env, info, 5, &arguments) || !read_range(&arguments, &descriptor, &lock) ||
	    !int64_argument(&arguments, 4, &timeout_ms))
		return NULL;
	struct wait wait;
	int result;
	wait_begin(&wait, timeout_ms);
	bool began = peer_wait_begin();
	do
		result = wait_allows(&wait) ? fcntl(descriptor, F_OFD_SETLKW, &lock) : -1;
	while (result < 0 && wait_goes_on(&wait));
	if (began)
		peer_wait_end(true);
	wait_end(&wait);
	return result < 0 ? throw_errno(env, errno, "fcntl") : js_undefined(env);
}

/* ofdSetlk(descriptor, type, start, length): the same without waiting; EAGAIN when another holds it. fcntl(2) */
static napi_value js_ofd_setlk(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor;
	struct flock lock;
	if (!read_arguments(env, info, 4, &arguments) || !read_range(&arguments, &descriptor, &lock))
		return NULL;
	return fcntl(descriptor, F_OFD_SETLK, &lock) < 0 ? throw_errno(env, errno, "fcntl") : js_undefined(env);
}

/* ofdGetlk(descriptor, type, start, length) -> whether another open description holds a lock in the way. fcntl(2) */
static napi_value js_ofd_getlk(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor;
	struct flock lock;
	napi_value held;
	if (!read_arguments(env, info, 4, &arguments) || !read_range(&arguments, &descriptor, &lock))
		return NULL;
	if (fcntl(descriptor, F_OFD_GETLK, &lock) < 0)
		return throw_errno(env, errno, "fcntl");
	napi_get_boolean(env, lock.l_type != F_UNLCK, &held);
	return held;
}

/* fcntlGetfl(descriptor) -> status flags. fcntl(2) */
static napi_value js_fcntl_getfl(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &descriptor))
		return NULL;
	int flags = fcntl(descriptor, F_GETFL);
	return flags < 0 ? throw_errno(env, errno, "fcntl") : js_number(env, flags);
}

/* fcntlSetfl(descriptor, flags). fcntl(2) */
static napi_value js_fcntl_setfl(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor, flags;
	if (!read_arguments(env, info, 2, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !int_argument(&arguments, 1, &flags))
		return NULL;
	return fcntl(descriptor, F_SETFL, flags) < 0 ? throw_errno(env, errno, "fcntl") : js_undefined(env);
}

/* dupInheritable(descriptor, least) -> a duplicate numbered `least` or higher that commands we run inherit. fcntl(2), F_DUPFD */
static napi_value js_dup_inheritable(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor, least;
	if (!read_arguments(env, info, 2, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !int_argument(&arguments, 1, &least))
		return NULL;
	int duplicate = fcntl(descriptor, F_DUPFD, least);
	return duplicate < 0 ? throw_errno(env, errno, "fcntl") : js_number(env, duplicate);
}

/* inotifyInit() -> a non-blocking descriptor. inotify_init1(2) */
static napi_value js_inotify_init(napi_env env, napi_callback_info info)
{
	(void)info;
	int descriptor = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	return descriptor < 0 ? throw_errno(env, errno, "inotify_init1") : js_number(env, descriptor);
}

/* inotifyAddWatch(descriptor, path, mask) -> watch. inotify_add_watch(2) */
static napi_value js_inotify_add_watch(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor;
	int64_t mask;
	char *path;
	if (!read_arguments(env, info, 3, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !int64_argument(&arguments, 2, &mask) || !text_argument(&arguments, 1, &path))
		return NULL;
	int watch = inotify_add_watch(descriptor, path, (uint32_t)mask);
	free(path);
	return watch < 0 ? throw_errno(env, errno, "inotify_add_watch") : js_number(env, watch);
}

struct background_poll {
	napi_async_work work;
	napi_deferred deferred;
	struct pollfd pollfd;
	int timeout_ms;
	bool ready;
};

static void run_background_poll(napi_env env, void *data)
{
	(void)env;
	struct background_poll *wait = data;
	wait->ready = poll(&wait->pollfd, 1, wait->timeout_ms) > 0;
}

static void finish_background_poll(napi_env env, napi_status status, void *data)
{
	(void)status;
	struct background_poll *wait = data;
	napi_value ready;
	napi_get_boolean(env, wait->ready, &ready);
	napi_resolve_deferred(env, wait->deferred, ready);
	napi_delete_async_work(env, wait->work);
	free(wait);
}

/* pollInBackground(descriptor, events, timeoutMs) -> promise of whether it is ready, from libuv's pool. poll(2) */
static napi_value js_poll_in_background(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor, events, timeout_ms;
	napi_value promise, name;
	if (!read_arguments(env, info, 3, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !int_argument(&arguments, 1, &events) || !int_argument(&arguments, 2, &timeout_ms))
		return NULL;
	if (timeout_ms < 0)
		return napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "a wait in the pool needs an end"), NULL;
	struct background_poll *wait = calloc(1, sizeof *wait);
	if (!wait)
		return throw_errno(env, ENOMEM, "calloc");
	wait->pollfd = (struct pollfd){.fd = descriptor, .events = (short)events};
	wait->timeout_ms = timeout_ms;
	napi_create_string_utf8(env, "pollInBackground", NAPI_AUTO_LENGTH, &name);
	if (napi_create_promise(env, &wait->deferred, &promise) != napi_ok ||
	    napi_create_async_work(env, NULL, name, run_background_poll, finish_background_poll, wait, &wait->work) !=
		    napi_ok ||
	    napi_queue_async_work(env, wait->work) != napi_ok) {
		free(wait);
		return throw_errno(env, ENOMEM, "napi_queue_async_work");
	}
	return promise;
}

static const struct export table[] = {
	{"openat", js_openat},
	{"mkfifoat", js_mkfifoat},
	{"unlinkat", js_unlinkat},
	{"readdir", js_readdir},
	{"linkDescriptor", js_link_descriptor},
	{"renameat2", js_renameat2},
	{"read", js_read},
	{"write", js_write},
	{"poll", js_poll},
	{"pollInBackground", js_poll_in_background},
	{"flock", js_flock},
	{"ofdSetlkw", js_ofd_setlkw},
	{"ofdSetlk", js_ofd_setlk},
	{"ofdGetlk", js_ofd_getlk},
	{"fcntlGetfl", js_fcntl_getfl},
	{"fcntlSetfl", js_fcntl_setfl},
	{"dupInheritable", js_dup_inheritable},
	{"inotifyInit", js_inotify_init},
	{"inotifyAddWatch", js_inotify_add_watch},
};

void export_file(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
