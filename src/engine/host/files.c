/*
 * What the stand-in for node:fs needs of the kernel. A refusal is answered as a negative error number: node/fs.ts makes
 * Node's error of it.
 */
#include "engine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static napi_value number_or_errno(napi_env env, int64_t result)
{
	return js_number(env, result < 0 ? -errno : (double)result);
}

static napi_value numbers(napi_env env, const double *values, size_t count)
{
	napi_value array;
	napi_create_array_with_length(env, count, &array);
	for (size_t i = 0; i < count; i++)
		napi_set_element(env, array, (uint32_t)i, js_number(env, values[i]));
	return array;
}

/* The kernel's struct statx: not every libc has it. statx(2) */
struct time_of_file {
	int64_t seconds;
	uint32_t nanoseconds;
	int32_t reserved;
};

struct file_status {
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, spare;
	uint64_t ino, size, blocks, attributes_mask;
	struct time_of_file atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t rest[14];
};

#define BASIC_STATS_AND_BTIME 0xfff
#define EMPTY_PATH 0x1000 /* AT_EMPTY_PATH */

static napi_value status_at(napi_env env, int folder, const char *path, int flags)
{
	struct file_status s;
	memset(&s, 0, sizeof s);
	if (syscall(SYS_statx, folder, path, flags, BASIC_STATS_AND_BTIME, &s) < 0)
		return number_or_errno(env, -1);
	const double all[] = {
		(double)makedev(s.dev_major, s.dev_minor), s.mode, s.nlink, s.uid, s.gid,
		(double)makedev(s.rdev_major, s.rdev_minor), s.blksize, (double)s.ino, (double)s.size, (double)s.blocks,
		(double)s.atime.seconds, s.atime.nanoseconds, (double)s.mtime.seconds, s.mtime.nanoseconds,
		(double)s.ctime.seconds, s.ctime.nanoseconds, (double)s.btime.seconds, s.btime.nanoseconds,
	};
	return numbers(env, all, sizeof all / sizeof all[0]);
}

/* fstat(descriptor) -> the fields of Node's Stats, in its order, each time as seconds and nanoseconds. statx(2) */
static napi_value js_fstat(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &descriptor))
		return NULL;
	return status_at(env, descriptor, "", EMPTY_PATH);
}

/* stat(path, follow) -> the same. statx(2) */
static napi_value js_stat(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	char *path;
	bool follow;
	if (!read_arguments(env, info, 2, &arguments) ||
	    napi_get_value_bool(env, arguments.value[1], &follow) != napi_ok || !text_argument(&arguments, 0, &path))
		return NULL;
	napi_value result = status_at(env, AT_FDCWD, path, follow ? 0 : AT_SYMLINK_NOFOLLOW);
	free(path);
	return result;
}

/* statfs(path) -> type, block size, blocks, free, available, files, free files. statfs(2) */
static napi_value js_statfs(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	char *path;
	struct statfs s;
	if (!read_arguments(env, info, 1, &arguments) || !text_argument(&arguments, 0, &path))
		return NULL;
	int result = statfs(path, &s), problem = errno;
	free(path);
	if (result < 0)
		return js_number(env, -problem);
	const double all[] = {(double)s.f_type,	  (double)s.f_bsize, (double)s.f_blocks, (double)s.f_bfree,
			      (double)s.f_bavail, (double)s.f_files, (double)s.f_ffree};
	return numbers(env, all, sizeof all / sizeof all[0]);
}

enum path_call { OPEN, MKDIR, UNLINK, CHMOD, ACCESS, LCHOWN, RMDIR };

/* One call with a path and up to two numbers. */
static napi_value path_call(napi_env env, napi_callback_info info, enum path_call call)
{
	struct arguments arguments;
	char *path;
	int first, second, result = -1;
	if (!read_arguments(env, info, 3, &arguments) || !int_argument(&arguments, 1, &first) ||
	    !int_argument(&arguments, 2, &second) || !text_argument(&arguments, 0, &path))
		return NULL;
	switch (call) {
	case OPEN:
		do
			result = open(path, first | O_CLOEXEC, second);
		while (result < 0 && errno == EINTR);
		break;
	case MKDIR:
		result = mkdir(path, (mode_t)first);
		break;
	case UNLINK:
		result = unlink(path);
		break;
	case CHMOD:
		result = chmod(path, (mode_t)first);
		break;
	case ACCESS:
		result = access(path, first);
		break;
	case LCHOWN:
		result = lchown(path, (uid_t)first, (gid_t)second);
		break;
	case RMDIR:
		result = rmdir(path);
		break;
	}
	int problem = errno;
	free(path);
	errno = problem;
	return number_or_errno(env, result);
}

/* open(path, flags, mode) -> descriptor, close-on-exec. open(2) */
static napi_value js_open(napi_env env, napi_callback_info info)
{
	return path_call(env, info, OPEN);
}

/* mkdir(path, mode, 0). mkdir(2) */
static napi_value js_mkdir(napi_env env, napi_callback_info info)
{
	return path_call(env, info, MKDIR);
}

/* unlink(path, 0, 0). unlink(2) */
static napi_value js_unlink(napi_env env, napi_callback_info info)
{
	return path_call(env, info, UNLINK);
}

/* rmdir(path, 0, 0). rmdir(2) */
static napi_value js_rmdir(napi_env env, napi_callback_info info)
{
	return path_call(env, info, RMDIR);
}

/* chmod(path, mode, 0). chmod(2) */
static napi_value js_chmod(napi_env env, napi_callback_info info)
{
	return path_call(env, info, CHMOD);
}

/* access(path, mode, 0). access(2) */
static napi_value js_access(napi_env env, napi_callback_info info)
{
	return path_call(env, info, ACCESS);
}

/* lchown(path, uid, gid). chown(2) */
static napi_value js_lchown(napi_env env, napi_callback_info info)
{
	return path_call(env, info, LCHOWN);
}

/* close(descriptor). close(2) */
static napi_value js_close(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &descriptor))
		return NULL;
	return number_or_errno(env, close(descriptor));
}

/* fchmod(descriptor, mode). fchmod(2) */
static napi_value js_fchmod(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor, mode;
	if (!read_arguments(env, info, 2, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !int_argument(&arguments, 1, &mode))
		return NULL;
	return number_or_errno(env, fchmod(descriptor, (mode_t)mode));
}

/* ftruncate(descriptor, length). ftruncate(2) */
static napi_value js_ftruncate(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor;
	int64_t length;
	if (!read_arguments(env, info, 2, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !int64_argument(&arguments, 1, &length))
		return NULL;
	return number_or_errno(env, ftruncate(descriptor, length));
}

/* The part of a buffer to read into or to write from, and where in the file; negative: where it stands. */
struct span {
	int descriptor;
	uint8_t *data;
	size_t length;
	int64_t position;
};

static bool span_arguments(struct arguments *arguments, struct span *span)
{
	struct bytes bytes;
	int64_t offset, length;
	if (!int_argument(arguments, 0, &span->descriptor) || !bytes_argument(arguments, 1, &bytes) ||
	    !int64_argument(arguments, 2, &offset) || !int64_argument(arguments, 3, &length) ||
	    !int64_argument(arguments, 4, &span->position))
		return false;
	if (offset < 0 || length < 0 || (uint64_t)offset > bytes.length || (uint64_t)length > bytes.length - (uint64_t)offset) {
		napi_throw_range_error(arguments->env, "ERR_OUT_OF_RANGE", "outside the buffer");
		return false;
	}
	span->data = bytes.data + offset;
	span->length = (size_t)length;
	return true;
}

/* read(descriptor, bytes, offset, length, position) -> count. read(2), pread(2) */
static napi_value js_read(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct span span;
	if (!read_arguments(env, info, 5, &arguments) || !span_arguments(&arguments, &span))
		return NULL;
	return number_or_errno(env, span.position < 0 ? read(span.descriptor, span.data, span.length)
						      : pread(span.descriptor, span.data, span.length, span.position));
}

/* write(descriptor, bytes, offset, length, position) -> count. write(2), pwrite(2) */
static napi_value js_write(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct span span;
	if (!read_arguments(env, info, 5, &arguments) || !span_arguments(&arguments, &span))
		return NULL;
	return number_or_errno(env, span.position < 0 ? write(span.descriptor, span.data, span.length)
						      : pwrite(span.descriptor, span.data, span.length, span.position));
}

/* readdir(path) -> names and types (DT_REG …) in turn, unsorted. readdir(3) */
static napi_value js_readdir(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	char *path;
	napi_value array;
	uint32_t count = 0;
	if (!read_arguments(env, info, 1, &arguments) || !text_argument(&arguments, 0, &path))
		return NULL;
	DIR *folder = opendir(path);
	int problem = errno;
	free(path);
	if (!folder)
		return js_number(env, -problem);
	napi_create_array(env, &array);
	for (struct dirent *entry; errno = 0, (entry = readdir(folder));) {
		napi_value name;
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		napi_create_string_utf8(env, entry->d_name, NAPI_AUTO_LENGTH, &name);
		napi_set_element(env, array, count++, name);
		napi_set_element(env, array, count++, js_number(env, entry->d_type));
	}
	problem = errno;
	closedir(folder);
	return problem ? js_number(env, -problem) : array;
}

/* readlink(path) -> text. readlink(2) */
static napi_value js_readlink(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	char *path, target[PATH_MAX];
	napi_value result;
	if (!read_arguments(env, info, 1, &arguments) || !text_argument(&arguments, 0, &path))
		return NULL;
	ssize_t length = readlink(path, target, sizeof target);
	int problem = errno;
	free(path);
	if (length < 0)
		return js_number(env, -problem);
	napi_create_string_utf8(env, target, (size_t)length, &result);
	return result;
}

/* readAll(descriptor) -> a Uint8Array with everything up to the end. read(2) */
static napi_value js_read_all(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &descriptor))
		return NULL;
	size_t size = 0, room = 4096;
	uint8_t *data = malloc(room);
	while (data) {
		ssize_t count = read(descriptor, data + size, room - size);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0) {
			int problem = errno;
			free(data);
			return js_number(env, -problem);
		}
		if (count == 0)
			break;
		size += (size_t)count;
		if (size == room) {
			uint8_t *larger = realloc(data, room *= 2);
			if (!larger)
				free(data);
			data = larger;
		}
	}
	void *bytes;
	napi_value buffer, result;
	if (!data || napi_create_arraybuffer(env, size, &bytes, &buffer) != napi_ok ||
	    napi_create_typedarray(env, napi_uint8_array, size, buffer, 0, &result) != napi_ok) {
		free(data);
		return js_number(env, -ENOMEM);
	}
	memcpy(bytes, data, size);
	free(data);
	return result;
}

static const struct export table[] = {
	{"fstat", js_fstat},
	{"stat", js_stat},
	{"statfs", js_statfs},
	{"open", js_open},
	{"mkdir", js_mkdir},
	{"unlink", js_unlink},
	{"rmdir", js_rmdir},
	{"chmod", js_chmod},
	{"access", js_access},
	{"lchown", js_lchown},
	{"close", js_close},
	{"fchmod", js_fchmod},
	{"ftruncate", js_ftruncate},
	{"read", js_read},
	{"write", js_write},
	{"readdir", js_readdir},
	{"readlink", js_readlink},
	{"readAll", js_read_all},
};

void export_host_files(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
