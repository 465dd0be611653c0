/* What the stand-ins for node:process, node:crypto and performance need of the kernel. */
#include "engine.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static const char *command;
static int argument_count;
static char **argument_words;

void remember_command_line(const char *name, int argc, char **argv)
{
	command = name;
	argument_count = argc;
	argument_words = argv;
}

const char *command_name(void)
{
	return command;
}

bool is_command_given(void)
{
	for (int i = 1; i + 1 < argument_count; i++)
		if (strcmp(argument_words[i], "--") == 0)
			return true;
	return false;
}

/* In the place of src/native/node-process.c: the kernel closes the descriptors, and has little memory to free before. */
void leave(int status)
{
	_exit(status);
}

/* The thread that src/native/wait.c may make blocks all signals. */
bool has_other_threads(void)
{
	return false;
}

/* In the place of src/native/node-readiness.c, which only the library needs. */
void export_readiness(napi_env env, napi_value exports)
{
	(void)env, (void)exports;
}

/* commandLine() -> the words after the command's name. */
static napi_value js_command_line(napi_env env, napi_callback_info info)
{
	napi_value array, word;
	(void)info;
	napi_create_array(env, &array);
	for (int i = 1; i < argument_count; i++) {
		napi_create_string_utf8(env, argument_words[i], NAPI_AUTO_LENGTH, &word);
		napi_set_element(env, array, (uint32_t)(i - 1), word);
	}
	return array;
}

/* environment() -> an object of texts. environ(7) */
static napi_value js_environment(napi_env env, napi_callback_info info)
{
	JSContext *context = context_of(env);
	napi_value object;
	(void)info;
	if (napi_create_object(env, &object) != napi_ok)
		return NULL;
	for (char **at = environ; *at; at++) {
		char *equals = strchr(*at, '=');
		if (!equals || equals == *at)
			continue;
		JSValue name = string_of_bytes(context, (uint8_t *)*at, (size_t)(equals - *at));
		JSAtom key = JS_ValueToAtom(context, name);
		JS_FreeValue(context, name);
		JS_DefinePropertyValue(context, value_of(object), key,
				       string_of_bytes(context, (uint8_t *)equals + 1, strlen(equals + 1)), JS_PROP_C_W_E);
		JS_FreeAtom(context, key);
	}
	return object;
}

/* ids() -> pid, ppid, uid, euid, gid, egid. getpid(2), getuid(2), getgid(2) */
static napi_value js_ids(napi_env env, napi_callback_info info)
{
	const double all[] = {getpid(), getppid(), getuid(), geteuid(), getgid(), getegid()};
	napi_value array;
	(void)info;
	napi_create_array_with_length(env, 6, &array);
	for (uint32_t i = 0; i < 6; i++)
		napi_set_element(env, array, i, js_number(env, all[i]));
	return array;
}

/* umask(mask) -> the mask before; a negative one only looks. umask(2) */
static napi_value js_umask(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int mask;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &mask))
		return NULL;
	mode_t before = umask(mask < 0 ? 0 : (mode_t)mask);
	if (mask < 0)
		umask(before);
	return js_number(env, before);
}

/* cwd() -> text, or a negative error number. getcwd(3) */
static napi_value js_cwd(napi_env env, napi_callback_info info)
{
	char path[PATH_MAX];
	napi_value result;
	(void)info;
	if (!getcwd(path, sizeof path))
		return js_number(env, -errno);
	napi_create_string_utf8(env, path, NAPI_AUTO_LENGTH, &result);
	return result;
}

/* freeMemory() -> bytes. sysinfo(2) */
static napi_value js_free_memory(napi_env env, napi_callback_info info)
{
	struct sysinfo now;
	(void)info;
	return js_number(env, sysinfo(&now) < 0 ? 0 : (double)now.freeram * now.mem_unit);
}

/* now() -> milliseconds of the monotonic clock. clock_gettime(2) */
static napi_value js_now(napi_env env, napi_callback_info info)
{
	(void)info;
	return js_number(env, (double)monotonic_ns() / 1e6);
}

/* wallClock() -> milliseconds since 1970. clock_gettime(2) */
static napi_value js_wall_clock(napi_env env, napi_callback_info info)
{
	struct timespec now;
	(void)info;
	clock_gettime(CLOCK_REALTIME, &now);
	return js_number(env, (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6);
}

/* random(bytes): fills it. getrandom(2) */
static napi_value js_random(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes bytes;
	if (!read_arguments(env, info, 1, &arguments) || !bytes_argument(&arguments, 0, &bytes))
		return NULL;
	for (size_t at = 0; at < bytes.length;) {
		ssize_t count = getrandom(bytes.data + at, bytes.length - at, 0);
		if (count > 0)
			at += (size_t)count;
		else if (errno != EINTR)
			return throw_errno(env, errno, "getrandom");
	}
	return js_undefined(env);
}

/* sleep(ms): until a timer of the script is due. poll(2) */
static napi_value js_sleep(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int64_t milliseconds;
	if (!read_arguments(env, info, 1, &arguments) || !int64_argument(&arguments, 0, &milliseconds))
		return NULL;
	if (poll_until(NULL, 0, milliseconds) < 0)
		return throw_errno(env, errno, "poll");
	return js_undefined(env);
}

/* becomeNode(command): runs this command line on Node, or answers why it could not. execve(2) */
static napi_value js_become_node(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	char *name;
	napi_value result;
	if (!read_arguments(env, info, 1, &arguments) || !text_argument(&arguments, 0, &name))
		return NULL;
	const char *problem = become_node(name, argument_count, argument_words);
	free(name);
	napi_create_string_utf8(env, problem, NAPI_AUTO_LENGTH, &result);
	return result;
}

static const struct export table[] = {
	{"commandLine", js_command_line},
	{"environment", js_environment},
	{"ids", js_ids},
	{"umask", js_umask},
	{"cwd", js_cwd},
	{"freeMemory", js_free_memory},
	{"now", js_now},
	{"wallClock", js_wall_clock},
	{"random", js_random},
	{"sleep", js_sleep},
	{"becomeNode", js_become_node},
};

void export_host_process(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}

napi_value initialise_host(napi_env env, napi_value exports)
{
	export_host_files(env, exports);
	export_host_process(env, exports);
	export_host_text(env, exports);
	export_host_resources(env, exports);
	export_host_memory(env, exports);
	return exports;
}
