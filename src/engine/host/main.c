/*
 * The executable: finds the command by the name it was called with, and runs the module of that verb.
 *
 * Each verb is a module of its own, so that a start reads the bytecode of one verb and no more. A command line without a verb
 * (help, a mistake, completion) runs the module of the command, which knows the names of the verbs only.
 */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <unistd.h>

#define STACK (1 << 20) /* bytes: the engine's own limit */
#define PACKAGE "ipc-tools"
#define GC_THRESHOLD (4 << 20) /* bytes: a one-shot verb never comes near, a stream stays below the budget for memory */

napi_value napi_register_module_v1(napi_env env, napi_value exports);

/* All names are whole: the build has resolved them. */
static char *same_name(JSContext *context, const char *base, const char *name, void *opaque)
{
	(void)base, (void)opaque;
	return js_strdup(context, strncmp(name, "./", 2) == 0 ? name + 2 : name);
}

/* A defect of ours: everything a user can do wrong has been reported by then. */
static void complain(JSContext *context, JSValue error)
{
	if (has_memory_run_out())
		end_out_of_memory();
	const char *text = JS_ToCString(context, error);
	JSValue stack = JS_GetPropertyStr(context, error, "stack");
	const char *trace = JS_IsString(stack) ? JS_ToCString(context, stack) : NULL;
	fprintf(stderr, "%s\n%s", text ? text : "an error without a text", trace ? trace : "");
	_exit(1);
}

static void complain_of_pending(JSContext *context)
{
	complain(context, JS_GetException(context));
}

static void on_rejection(JSContext *context, JSValueConst promise, JSValueConst reason, bool is_handled, void *opaque)
{
	(void)opaque, (void)promise;
	/* A handler may still be attached: it is looked at once nothing else is to be done. */
	JS_FreeValue(context, kept()->rejection);
	kept()->rejection = is_handled ? JS_UNDEFINED : JS_DupValue(context, reason);
}

static void evaluate(JSContext *context, const struct resource *module)
{
	JSValue code = JS_ReadObject(context, module->bytes, (size_t)(module->end - module->bytes), JS_READ_OBJ_BYTECODE);
	if (JS_IsException(code) || JS_ResolveModule(context, code) < 0)
		complain_of_pending(context);
	JSValue result = JS_EvalFunction(context, code);
	if (JS_IsException(result))
		complain_of_pending(context);
	JS_FreeValue(context, result);
}

/* Promises, then the pool's work, then timers, until there is nothing left. */
static void run_loop(void)
{
	JSRuntime *runtime = kept()->runtime;
	JSContext *context = kept()->context;
	JSValue global = JS_GetGlobalObject(context), run_timer = JS_GetPropertyStr(context, global, "runTimer");
	JS_FreeValue(context, global);
	for (;;) {
		JSContext *other;
		int jobs;
		while ((jobs = JS_ExecutePendingJob(runtime, &other)) > 0)
			;
		if (jobs < 0)
			complain_of_pending(other);
		if (!JS_IsUndefined(kept()->rejection))
			complain(context, kept()->rejection);
		if (run_async_work(kept()->env))
			continue;
		JSValue ran = JS_Call(context, run_timer, JS_UNDEFINED, 0, NULL);
		if (JS_IsException(ran))
			complain_of_pending(context);
		bool goes_on = JS_ToBool(context, ran) > 0;
		JS_FreeValue(context, ran);
		if (!goes_on && !JS_IsJobPending(runtime))
			return;
	}
}

/*
 * Standard streams that are closed fail when they are read or written, and no file of ours takes their place. Not with a
 * folder where another file can be had: a command that is run has the same streams, and may be in a chroot(2).
 */
static void occupy_standard_streams(void)
{
	const char *const files[] = {"/dev/null", (const char *)getauxval(AT_EXECFN), "/"};
	for (int descriptor = 0; descriptor <= 2; descriptor++)
		for (int i = 0, found = -1; was_closed(descriptor) && i < 3 && found < 0; i++)
			found = open(files[i], O_PATH | O_CLOEXEC);
}

static void end_by(int number)
{
	_exit(128 + number);
}

/*
 * The first process of a PID namespace gets only those signals that it handles: without this a verb that waits there could not
 * be told to end. A verb that catches signals itself replaces these. pid_namespaces(7)
 */
static void end_on_signals_as_first_process(void)
{
	static const int usual[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
	const struct sigaction action = {.sa_handler = end_by};
	for (size_t i = 0; getpid() == 1 && i < sizeof usual / sizeof usual[0]; i++)
		if (!(ignored_at_start >> (usual[i] - 1) & 1))
			sigaction(usual[i], &action, NULL);
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* The module for a command line: that of the verb, else that of the whole command; NULL where the name is not one of ours. */
static const struct resource *module_for(const char *path, const char *verb)
{
	char name[128];
	const char *command = last_part(path);
	if (strncmp(command, "ipc-", 4) != 0)
		return NULL;
	if (verb && snprintf(name, sizeof name, "%s/%s", command + 4, verb) < (int)sizeof name) {
		const struct resource *module = find_resource(&bundled_modules, name);
		if (module)
			return module;
	}
	return snprintf(name, sizeof name, "%s", command + 4) < (int)sizeof name ? find_resource(&bundled_modules, name) : NULL;
}

/* How deep scripts may go: half of a small stack, since the words and the environment lie there too. execve(2) */
static void limit_stack(JSRuntime *runtime)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur / 2 < STACK)
		JS_SetMaxStackSize(runtime, (size_t)limit.rlim_cur / 2);
}

/* The engine, with what all modules need. */
static void start_engine(void)
{
	JSRuntime *runtime = kept()->runtime = new_runtime();
	JSContext *context = kept()->context = runtime ? JS_NewContextRaw(runtime) : NULL;
	if (!context)
		end_out_of_memory();
	JS_SetGCThreshold(runtime, GC_THRESHOLD);
	JS_AddIntrinsicBaseObjects(context);
	JS_AddIntrinsicDate(context);
	JS_AddIntrinsicRegExp(context);
	JS_AddIntrinsicRegExpCompiler(context);
	JS_AddIntrinsicJSON(context);
	JS_AddIntrinsicMapSet(context);
	JS_AddIntrinsicTypedArrays(context);
	JS_AddIntrinsicPromise(context);
	JS_AddIntrinsicBigInt(context);
	JS_SetModuleLoaderFunc(runtime, same_name, load_module, NULL);
	kept()->rejection = JS_UNDEFINED;
	JS_SetHostPromiseRejectionTracker(runtime, on_rejection, NULL);

	napi_env env = kept()->env = new_environment(context);
	JSValue global = JS_GetGlobalObject(context);
	JS_SetPropertyStr(context, global, "engineHost", exports_of(env, initialise_host));
	JS_SetPropertyStr(context, global, "engineNative", exports_of(env, napi_register_module_v1));
	JS_FreeValue(context, global);

	evaluate(context, find_resource(&bundled_modules, "globals"));
}

/* Evaluates the module, and what it has put off. */
static void run(const struct resource *module)
{
	if (!thaw())
		start_engine();
	JS_UpdateStackTop(kept()->runtime);
	limit_stack(kept()->runtime);
	begin_to_need_memory();
	evaluate(kept()->context, module);
	run_loop();
}

/* For the build: writes a snapshot with the modules that are shared. */
static int freeze(char **argv)
{
	JSContext *other;
	begin_to_freeze(argv);
	start_engine();
	evaluate(kept()->context, find_resource(&bundled_modules, "shared"));
	while (JS_ExecutePendingJob(kept()->runtime, &other) > 0)
		;
	/* A module that has thrown would throw again in each start. */
	if (!JS_IsUndefined(kept()->rejection))
		complain(kept()->context, kept()->rejection);
	JS_RunGC(kept()->runtime);
	return write_snapshot();
}

static int refuse(const char *command, const char *what, const char *why)
{
	fprintf(stderr, "%s: %s: %s\n", command, what, why);
	return 1;
}

/* The names of the commands: on stdout where they are asked for. */
static void list_commands(const char *word)
{
	static const char *const asking[] = {"-h", "--help", "help", "-V", "--version"};
	bool is_asked = false;
	for (size_t i = 0; i < sizeof asking / sizeof asking[0]; i++)
		is_asked = is_asked || strcmp(word, asking[i]) == 0;
	const struct resource *text = find_resource(&bundled_texts, "help/80/" PACKAGE);
	if (text)
		fwrite(text->bytes, 1, (size_t)(text->end - text->bytes), is_asked ? stdout : stderr);
	exit(is_asked ? 0 : 2);
}

/* `ipc-tools sem value jobs` is `ipc-sem value jobs`: npx(1) knows only the command with the name of the package. */
static void take_name_from_words(int *argc, char ***argv)
{
	static char name[64];
	char help[sizeof "help/80/" + sizeof name];
	if (*argc < 1 || strcmp(last_part((*argv)[0]), PACKAGE) != 0)
		return;
	const char *word = *argc > 1 ? (*argv)[1] : "";
	snprintf(name, sizeof name, "ipc-%s", strncmp(word, "ipc-", 4) == 0 ? word + 4 : word);
	snprintf(help, sizeof help, "help/80/%s", name);
	if (!find_resource(&bundled_texts, help) || !module_for(name, NULL))
		list_commands(word);
	(*argv)[1] = name;
	++*argv;
	--*argc;
}

int main(int argc, char **argv)
{
	take_name_from_words(&argc, &argv);
	const char *verb = argc > 1 ? argv[1] : NULL;
	const char *path = argc > 0 ? argv[0] : "";
	const struct resource *module = module_for(path, verb);
	if (!module) {
		path = (const char *)getauxval(AT_EXECFN);
		module = module_for(path, verb);
	}
	if (!module && argc > 0 && strcmp(argv[0], "ipc-freeze") == 0 && !has_snapshot())
		return freeze(argv);
	if (!module) {
		fputs("ipc: call it by the name of a command: ipc-pipe, ipc-signal, ipc-sem, ipc-mq, ipc-shm or ipc-sock\n", stderr);
		return 2;
	}
	take_signals();
	look_for_closed_streams();
	const char *runtime = getenv("IPC_RUNTIME");
	if (runtime && strcmp(runtime, "node") == 0)
		return refuse(last_part(path), "IPC_RUNTIME=node", become_node(last_part(path), argc, argv));
	end_on_signals_as_first_process();
	occupy_standard_streams();
	remember_command_line(last_part(path), argc, argv);
	run(module);
	_exit(0);
}
