/*
 * The part of Node-API that src/native uses, on quickjs-ng: values' lifetime, functions, errors, handles and promises.
 *
 * A napi_value is the address of a slot. Slots live in chunks; a call from JavaScript remembers where its slots begin and
 * frees them when it returns, as Node's handle scope does.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK 256

struct chunk {
	struct chunk *next;
	JSValue slot[CHUNK];
};

struct napi_env__ {
	JSContext *context;
	JSValue exception; /* thrown by C, until its function returns */
	bool has_thrown;
	struct chunk *first, *now;
	int used;
	JSClassID box_class;
	JSAtom box_key; /* a private symbol: no script can see it */
	JSValue buffer_prototype;
	struct napi_async_work__ *queue, **queue_end;
};

struct napi_callback_info__ {
	int argc;
	JSValueConst *argv;
};

struct napi_deferred__ {
	JSValue resolve, reject;
};

struct napi_async_work__ {
	struct napi_async_work__ *next;
	napi_async_execute_callback execute;
	napi_async_complete_callback complete;
	void *data;
};

/* What napi_type_tag_object and napi_wrap attach to an object. */
struct box {
	napi_env env;
	napi_type_tag tag;
	void *data;
	napi_finalize finish;
};

JSContext *context_of(napi_env env)
{
	return env->context;
}

JSValue value_of(napi_value value)
{
	return *(JSValue *)value;
}

JSValueConst buffer_prototype_of(napi_env env)
{
	return env->buffer_prototype;
}

/* Puts a value into a slot, which owns it from now on. */
napi_status answer(napi_env env, JSValue value, napi_value *result)
{
	if (JS_IsException(value))
		return napi_pending_exception;
	if (env->used == CHUNK) {
		if (!env->now->next && !(env->now->next = calloc(1, sizeof *env->now))) {
			JS_FreeValue(env->context, value);
			return napi_generic_failure;
		}
		env->now = env->now->next;
		env->used = 0;
	}
	JSValue *slot = &env->now->slot[env->used++];
	*slot = value;
	*result = (napi_value)slot;
	return napi_ok;
}

static void free_slots(napi_env env, struct chunk *chunk, int used)
{
	for (struct chunk *at = chunk;; at = at->next) {
		int from = at == chunk ? used : 0, to = at == env->now ? env->used : CHUNK;
		for (int i = from; i < to; i++)
			JS_FreeValue(env->context, at->slot[i]);
		if (at == env->now)
			break;
	}
	env->now = chunk;
	env->used = used;
}

/* Every function of ours that JavaScript calls comes through here. */
static JSValue call_native(JSContext *context, JSValueConst self, int argc, JSValueConst *argv, int magic, void *opaque)
{
	(void)self, (void)magic;
	napi_env env = JS_GetContextOpaque(context);
	/* What it answers may be different in each process. */
	if (is_freezing() && !depends_on_arguments_only((napi_callback)opaque))
		return JS_ThrowInternalError(context, "a function of C is called while a module is loaded");
	struct chunk *chunk = env->now;
	int used = env->used;
	struct napi_callback_info__ info = {argc, argv};
	napi_value result = ((napi_callback)opaque)(env, &info);
	JSValue value = result ? JS_DupValue(context, value_of(result)) : JS_UNDEFINED;
	free_slots(env, chunk, used);
	if (!env->has_thrown)
		/* An exception of the engine itself, such as being out of memory, is thrown on. */
		return JS_HasException(context) ? JS_FreeValue(context, value), JS_EXCEPTION : value;
	JS_FreeValue(context, value);
	env->has_thrown = false;
	return JS_Throw(context, env->exception);
}

napi_status napi_get_cb_info(napi_env env, napi_callback_info info, size_t *argc, napi_value *argv, napi_value *self, void **data)
{
	(void)self, (void)data;
	for (size_t i = 0; i < *argc; i++) {
		JSValue value = (int)i < info->argc ? JS_DupValue(env->context, info->argv[i]) : JS_UNDEFINED;
		napi_status status = answer(env, value, &argv[i]);
		if (status != napi_ok)
			return status;
	}
	*argc = (size_t)info->argc;
	return napi_ok;
}

JSValue new_function(napi_env env, const char *name, napi_callback function)
{
	return JS_NewCClosure(env->context, call_native, name, NULL, 0, 0, (void *)function);
}

napi_status napi_create_function(napi_env env, const char *name, size_t length, napi_callback function, void *data, napi_value *result)
{
	(void)length, (void)data;
	return answer(env, new_function(env, name, function), result);
}

/* Errors. */

static JSValue with_code(JSContext *context, JSValue error, JSValue code)
{
	JS_SetPropertyStr(context, error, "code", code);
	return error;
}

napi_status napi_create_error(napi_env env, napi_value code, napi_value message, napi_value *result)
{
	JSContext *context = env->context;
	JSValue error = JS_NewError(context);
	JS_DefinePropertyValueStr(context, error, "message", JS_DupValue(context, value_of(message)),
				  JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE);
	return answer(env, with_code(context, error, JS_DupValue(context, value_of(code))), result);
}

static napi_status keep_exception(napi_env env, JSValue error)
{
	if (env->has_thrown)
		JS_FreeValue(env->context, env->exception);
	env->exception = error;
	env->has_thrown = true;
	return napi_ok;
}

napi_status napi_throw(napi_env env, napi_value error)
{
	return keep_exception(env, JS_DupValue(env->context, value_of(error)));
}

napi_status napi_throw_type_error(napi_env env, const char *code, const char *message)
{
	JSValue error = JS_NewTypeError(env->context, "%s", message);
	return keep_exception(env, with_code(env->context, error, JS_NewString(env->context, code)));
}

napi_status napi_throw_range_error(napi_env env, const char *code, const char *message)
{
	JSValue error = JS_NewRangeError(env->context, "%s", message);
	return keep_exception(env, with_code(env->context, error, JS_NewString(env->context, code)));
}

/* Handles: objects that stand for memory of C. */

static struct box *box_of(napi_env env, napi_value object)
{
	JSValue value = JS_GetProperty(env->context, value_of(object), env->box_key);
	struct box *box = JS_GetOpaque(value, env->box_class);
	JS_FreeValue(env->context, value);
	return box;
}

static void finish_box(JSRuntime *runtime, JSValueConst value)
{
	napi_env env = JS_GetRuntimeOpaque(runtime);
	struct box *box = JS_GetOpaque(value, env->box_class);
	if (box && box->finish)
		box->finish(env, box->data, NULL);
	free(box);
}

napi_status napi_type_tag_object(napi_env env, napi_value object, const napi_type_tag *tag)
{
	if (box_of(env, object))
		return napi_invalid_arg;
	struct box *box = calloc(1, sizeof *box);
	if (!box)
		return napi_generic_failure;
	JSValue value = JS_NewObjectClass(env->context, env->box_class);
	if (JS_IsException(value)) {
		free(box);
		return napi_pending_exception;
	}
	box->env = env;
	box->tag = *tag;
	JS_SetOpaque(value, box);
	return JS_DefinePropertyValue(env->context, value_of(object), env->box_key, value, 0) < 0 ? napi_pending_exception : napi_ok;
}

napi_status napi_check_object_type_tag(napi_env env, napi_value object, const napi_type_tag *tag, bool *result)
{
	struct box *box = box_of(env, object);
	*result = box && memcmp(&box->tag, tag, sizeof *tag) == 0;
	return napi_ok;
}

/* Always behind napi_type_tag_object: what is wrapped has a tag. */
napi_status napi_wrap(napi_env env, napi_value object, void *data, napi_finalize finish, void *hint, napi_ref *result)
{
	(void)hint, (void)result;
	struct box *box = box_of(env, object);
	if (!box || box->data)
		return napi_invalid_arg;
	box->data = data;
	box->finish = finish;
	return napi_ok;
}

napi_status napi_unwrap(napi_env env, napi_value object, void **result)
{
	struct box *box = box_of(env, object);
	if (!box)
		return napi_invalid_arg;
	*result = box->data;
	return napi_ok;
}

/* Promises, and work that Node gives to its pool. Here it runs once the script waits for it: this runtime has one thread. */

napi_status napi_create_promise(napi_env env, napi_deferred *deferred, napi_value *promise)
{
	JSValue functions[2], value = JS_NewPromiseCapability(env->context, functions);
	if (JS_IsException(value))
		return napi_pending_exception;
	*deferred = malloc(sizeof **deferred);
	if (!*deferred)
		abort();
	**deferred = (struct napi_deferred__){functions[0], functions[1]};
	return answer(env, value, promise);
}

static napi_status settle(napi_env env, napi_deferred deferred, bool resolves, napi_value value)
{
	JSValueConst argument = value_of(value);
	JSValue result = JS_Call(env->context, resolves ? deferred->resolve : deferred->reject, JS_UNDEFINED, 1, &argument);
	JS_FreeValue(env->context, result);
	JS_FreeValue(env->context, deferred->resolve);
	JS_FreeValue(env->context, deferred->reject);
	free(deferred);
	return napi_ok;
}

napi_status napi_resolve_deferred(napi_env env, napi_deferred deferred, napi_value value)
{
	return settle(env, deferred, true, value);
}

napi_status napi_reject_deferred(napi_env env, napi_deferred deferred, napi_value value)
{
	return settle(env, deferred, false, value);
}

napi_status napi_create_async_work(napi_env env, napi_value resource, napi_value name, napi_async_execute_callback execute,
				   napi_async_complete_callback complete, void *data, napi_async_work *result)
{
	(void)env, (void)resource, (void)name;
	*result = calloc(1, sizeof **result);
	if (!*result)
		return napi_generic_failure;
	**result = (struct napi_async_work__){NULL, execute, complete, data};
	return napi_ok;
}

napi_status napi_queue_async_work(napi_env env, napi_async_work work)
{
	work->next = NULL;
	*env->queue_end = work;
	env->queue_end = &work->next;
	return napi_ok;
}

napi_status napi_delete_async_work(napi_env env, napi_async_work work)
{
	(void)env;
	free(work);
	return napi_ok;
}

bool run_async_work(napi_env env)
{
	struct napi_async_work__ *work = env->queue;
	if (!work)
		return false;
	env->queue = work->next;
	if (!env->queue)
		env->queue_end = &env->queue;
	struct chunk *chunk = env->now;
	int used = env->used;
	work->execute(env, work->data);
	work->complete(env, napi_ok, work->data);
	free_slots(env, chunk, used);
	return true;
}

/* Setting up. */

void set_buffer_prototype(napi_env env, JSValueConst prototype)
{
	JS_FreeValue(env->context, env->buffer_prototype);
	env->buffer_prototype = JS_DupValue(env->context, prototype);
}

napi_env new_environment(JSContext *context)
{
	static const JSClassDef definition = {"Handle", .finalizer = finish_box};
	JSRuntime *runtime = JS_GetRuntime(context);
	napi_env env = allocate_zeroed(sizeof *env);
	if (!env || !(env->first = allocate_zeroed(sizeof *env->first)))
		end_out_of_memory();
	env->context = context;
	env->now = env->first;
	env->queue_end = &env->queue;
	env->buffer_prototype = JS_UNDEFINED;
	JS_SetContextOpaque(context, env);
	JS_SetRuntimeOpaque(runtime, env);
	JS_NewClassID(runtime, &env->box_class);
	JS_NewClass(runtime, env->box_class, &definition);
	JSValue symbol = JS_NewPrivateSymbol(context, "handle");
	env->box_key = JS_ValueToAtom(context, symbol);
	JS_FreeValue(context, symbol);
	return env;
}
