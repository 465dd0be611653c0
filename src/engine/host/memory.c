/*
 * Memory that runs out is an error like any other: one line, and the status that the verb has for errors.
 *
 * Before the verb has begun there is nothing to clean up: the process ends at once. Later the engine throws an error of its own,
 * so that the verb can give back what it has; a reserve that is set free then is what that needs.
 */
#include "engine.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RESERVE (64 << 10) /* bytes: never touched, so no memory until it is needed */

static void *reserve;
static bool has_begun, has_run_out;

void end_out_of_memory(void)
{
	fprintf(stderr, "%s: out of memory\n", command_name());
	leave(is_command_given() ? 125 : 1);
}

void note_out_of_memory(void)
{
	if (!has_begun)
		end_out_of_memory();
	has_run_out = true;
	free(reserve);
	reserve = NULL;
}

bool has_memory_run_out(void)
{
	return has_run_out;
}

void begin_to_need_memory(void)
{
	reserve = malloc(RESERVE);
	has_begun = true;
}

/* A size of 0 may be answered with nothing. */
static void *checked(void *memory, size_t size)
{
	if (!memory && size > 0)
		note_out_of_memory();
	return memory;
}

void *allocate_zeroed(size_t size)
{
	return checked(is_freezing() ? allocate_in_snapshot(size) : calloc(1, size), size);
}

static void *engine_calloc(void *opaque, size_t count, size_t size)
{
	(void)opaque;
	return is_freezing() ? allocate_zeroed(count * size) : checked(calloc(count, size), count * size);
}

static void *engine_malloc(void *opaque, size_t size)
{
	(void)opaque;
	return is_freezing() ? allocate_zeroed(size) : checked(malloc(size), size);
}

/* After a start what the snapshot holds stays. */
static void engine_free(void *opaque, void *memory)
{
	(void)opaque;
	if (!is_in_snapshot(memory))
		free(memory);
	else if (is_freezing())
		free_in_snapshot(memory);
}

static size_t usable_size(const void *memory)
{
	return is_in_snapshot(memory) ? size_in_snapshot(memory) : malloc_usable_size((void *)memory);
}

static void *engine_realloc(void *opaque, void *memory, size_t size)
{
	if (!is_freezing() && !is_in_snapshot(memory))
		return checked(realloc(memory, size), size);
	void *moved = engine_malloc(opaque, size);
	if (moved && memory) {
		memcpy(moved, memory, size < usable_size(memory) ? size : usable_size(memory));
		engine_free(opaque, memory);
	}
	return moved;
}

JSRuntime *new_runtime(void)
{
	static const JSMallocFunctions functions = {engine_calloc, engine_malloc, engine_free, engine_realloc, usable_size};
	return JS_NewRuntime2(&functions, NULL);
}

/* outOfMemory(): whether memory has run out at any time. */
static napi_value js_out_of_memory(napi_env env, napi_callback_info info)
{
	napi_value result;
	(void)info;
	napi_get_boolean(env, has_run_out, &result);
	return result;
}

static const struct export table[] = {
	{"outOfMemory", js_out_of_memory},
};

void export_host_memory(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
