/* Processes: this one and others. */
#include "native.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* exit(status): at once, without the work Node does before it leaves; whatever had to be done is done. _exit(2) */
static napi_value js_exit(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int status;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &status))
		return NULL;
	/* The kernel frees Node's memory before it closes descriptors; who waits for our end of a pipe need not wait for that. */
	syscall(SYS_close_range, 0, ~0U, 0);
	_exit(status);
}

/* setChildSubreaper(): orphaned descendants become our children. prctl(2), PR_SET_CHILD_SUBREAPER */
static napi_value js_set_child_subreaper(napi_env env, napi_callback_info info)
{
	(void)info;
	return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ? throw_errno(env, errno, "prctl") : js_undefined(env);
}

/* pidfdOpen(pid) -> descriptor. pidfd_open(2) */
static napi_value js_pidfd_open(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int pid;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &pid))
		return NULL;
	int descriptor = (int)syscall(SYS_pidfd_open, pid, 0);
	return descriptor < 0 ? throw_errno(env, errno, "pidfd_open") : js_number(env, descriptor);
}

/* pidfdGetfd(pidfd, descriptor) -> a duplicate of that process's descriptor, close-on-exec. pidfd_getfd(2) */
static napi_value js_pidfd_getfd(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int pidfd, target;
	if (!read_arguments(env, info, 2, &arguments) || !int_argument(&arguments, 0, &pidfd) ||
	    !int_argument(&arguments, 1, &target))
		return NULL;
	int descriptor = (int)syscall(SYS_pidfd_getfd, pidfd, target, 0);
	return descriptor < 0 ? throw_errno(env, errno, "pidfd_getfd") : js_number(env, descriptor);
}

/* userName(uid) -> text; undefined where no name is known. getpwuid_r(3) */
static napi_value js_user_name(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int64_t uid;
	struct passwd entry, *found;
	char buffer[4096];
	napi_value name;
	if (!read_arguments(env, info, 1, &arguments) || !int64_argument(&arguments, 0, &uid))
		return NULL;
	if (getpwuid_r((uid_t)uid, &entry, buffer, sizeof buffer, &found) != 0 || !found)
		return js_undefined(env);
	napi_create_string_utf8(env, entry.pw_name, NAPI_AUTO_LENGTH, &name);
	return name;
}

/* userId(name) -> number; undefined where nobody has that name. getpwnam_r(3) */
static napi_value js_user_id(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct passwd entry, *found = NULL;
	char *name, buffer[4096];
	if (!read_arguments(env, info, 1, &arguments) || !text_argument(&arguments, 0, &name))
		return NULL;
	int error = getpwnam_r(name, &entry, buffer, sizeof buffer, &found);
	free(name);
	return error != 0 || !found ? js_undefined(env) : js_number(env, entry.pw_uid);
}

/* groupId(name) -> number; undefined where no group has that name. getgrnam_r(3) */
static napi_value js_group_id(napi_env env, napi_callback_info info)
{
	enum { SIZE = 1 << 20 }; /* a group lists its members */
	struct arguments arguments;
	struct group entry, *found = NULL;
	char *name;
	if (!read_arguments(env, info, 1, &arguments) || !text_argument(&arguments, 0, &name))
		return NULL;
	char *buffer = malloc(SIZE);
	int error = buffer ? getgrnam_r(name, &entry, buffer, SIZE, &found) : ENOMEM;
	napi_value result = error != 0 || !found ? js_undefined(env) : js_number(env, entry.gr_gid);
	free(buffer);
	free(name);
	return result;
}

static const struct export table[] = {
	{"userName", js_user_name},
	{"userId", js_user_id},
	{"groupId", js_group_id},
	{"exit", js_exit},
	{"setChildSubreaper", js_set_child_subreaper},
	{"pidfdOpen", js_pidfd_open},
	{"pidfdGetfd", js_pidfd_getfd},
};

void export_process(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
