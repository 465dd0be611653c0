/*
 * The small runtime: the commands' TypeScript, compiled to bytecode, on quickjs-ng, with the native layer (src/native)
 * behind the same Node-API functions that Node offers.
 */
#ifndef IPC_ENGINE_H
#define IPC_ENGINE_H

#include "native.h"
#include "quickjs.h"

/* Bytes that the build has put into the executable, found by a name. Tables are sorted by name. */
struct resource {
	const char *name;
	const uint8_t *bytes, *end;
};

struct resource_table {
	const struct resource *rows;
	size_t count;
};

/* ES modules as bytecode, and texts (help). The build writes both tables. */
extern const struct resource_table bundled_modules, bundled_texts;

/* resources.c: NULL where there is none. */
const struct resource *find_resource(const struct resource_table *table, const char *name);
/* A module of the executable, not evaluated; NULL after an exception. */
JSModuleDef *load_module(JSContext *context, const char *name, void *opaque);

/* node-api.c: the environment that src/native and the host functions are called with. */
napi_env new_environment(JSContext *context);
/* exports.c: an object with what the initialiser exports. */
JSValue exports_of(napi_env env, napi_value (*initialise)(napi_env env, napi_value exports));
/* Buffers that C makes get this prototype. */
void set_buffer_prototype(napi_env env, JSValueConst prototype);
/* text.c: whether a function depends on nothing but its arguments. */
bool depends_on_arguments_only(napi_callback function);
/* Runs what napi_queue_async_work has been given; false when there is nothing to run. */
bool run_async_work(napi_env env);

/* node-api-values.c and exports.c use these of node-api.c. */
JSContext *context_of(napi_env env);
JSValue new_function(napi_env env, const char *name, napi_callback function);
JSValue value_of(napi_value value);
napi_status answer(napi_env env, JSValue value, napi_value *result);
JSValueConst buffer_prototype_of(napi_env env);

/* text.c: a string for bytes of the kernel; those that are not UTF-8 are kept. */
JSValue string_of_bytes(JSContext *context, const uint8_t *bytes, size_t length);

/* What the stand-ins for Node's modules need of the kernel: exports for the global `engineHost`. */
napi_value initialise_host(napi_env env, napi_value exports);
void export_host_files(napi_env env, napi_value exports);
void export_host_process(napi_env env, napi_value exports);
void export_host_text(napi_env env, napi_value exports);
void export_host_resources(napi_env env, napi_value exports);
void export_host_memory(napi_env env, napi_value exports);

/* process.c: the name of the command, and whether a command to run comes after `--`. */
void remember_command_line(const char *command, int argc, char **argv);
const char *command_name(void);
bool is_command_given(void);

/* What a start begins with, be it made or from the snapshot. */
struct kept {
	JSRuntime *runtime;
	JSContext *context;
	napi_env env;
	JSClassID exports_class;
	JSValue rejection; /* of a promise that nothing has handled yet */
};

struct kept *kept(void);

/* snapshot.c: brings the heap that the build has stored to life; false where there is none. */
bool thaw(void);
bool has_snapshot(void);
/* Only when the build makes the snapshot: from the one call to the other the engine's memory is that of the snapshot. */
void begin_to_freeze(char **argv);
int write_snapshot(void);
bool is_freezing(void);
/* While one is made: zeroed; NULL when it is full. */
void *allocate_in_snapshot(size_t size);
void free_in_snapshot(void *memory);
bool is_in_snapshot(const void *memory);
size_t size_in_snapshot(const void *memory);

/* memory.c: a runtime that notes where memory has run out. */
JSRuntime *new_runtime(void);
/* For what lives as long as the runtime. */
void *allocate_zeroed(size_t size);
/* From now on memory that runs out does not end the process. */
void begin_to_need_memory(void);
/* The same for what was not allocated by the engine. */
void note_out_of_memory(void);
bool has_memory_run_out(void);
void end_out_of_memory(void) __attribute__((noreturn));

/*
 * become-node.c: the process becomes Node, which runs the same command line with the same descriptors. Returns only where that
 * failed: the reason in words.
 */
const char *become_node(const char *command, int argc, char **argv);
/* Called once, before any file is opened: which standard streams are closed, and whether that one is. */
void look_for_closed_streams(void);
bool was_closed(int descriptor);
/* Called once, first: learns what is ignored, and ignores SIGPIPE and SIGXFSZ. */
void take_signals(void);

#endif
