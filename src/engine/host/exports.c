/*
 * What src/native and this folder export: objects whose functions are made when they are first asked for. There are over two hundred,
 * and a verb uses a dozen.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#define MOST_TABLES 32

struct exports {
	struct {
		const struct export *rows;
		size_t count;
	} tables[MOST_TABLES];
	size_t count;
};

static const struct export *find_export(const struct exports *exports, const char *name)
{
	for (size_t i = 0; i < exports->count; i++)
		for (size_t j = 0; j < exports->tables[i].count; j++)
			if (strcmp(exports->tables[i].rows[j].name, name) == 0)
				return &exports->tables[i].rows[j];
	return NULL;
}

/* Called for a property that the object does not have yet. */
static int make_property(JSContext *context, JSPropertyDescriptor *descriptor, JSValueConst object, JSAtom key)
{
	napi_env env = JS_GetContextOpaque(context);
	const char *name = JS_AtomToCString(context, key);
	if (!name)
		return -1;
	const struct export *found = find_export(JS_GetOpaque(object, kept()->exports_class), name);
	JS_FreeCString(context, name);
	if (!found)
		return 0;
	JSValue function = new_function(env, found->name, found->function);
	if (JS_DefinePropertyValue(context, object, key, JS_DupValue(context, function), JS_PROP_C_W_E) < 0) {
		JS_FreeValue(context, function);
		return -1;
	}
	if (descriptor)
		*descriptor = (JSPropertyDescriptor){
			.flags = JS_PROP_C_W_E, .value = function, .getter = JS_UNDEFINED, .setter = JS_UNDEFINED};
	else
		JS_FreeValue(context, function);
	return 1;
}

void export_all(napi_env env, napi_value object, const struct export *table, size_t count)
{
	struct exports *exports = JS_GetOpaque(value_of(object), kept()->exports_class);
	(void)env;
	if (exports->count == MOST_TABLES)
		abort();
	exports->tables[exports->count].rows = table;
	exports->tables[exports->count++].count = count;
}

/* The two objects live as long as the process. */
JSValue exports_of(napi_env env, napi_value (*initialise)(napi_env env, napi_value exports))
{
	static JSClassExoticMethods methods = {.get_own_property = make_property};
	static const JSClassDef definition = {"Exports", .exotic = &methods};
	JSContext *context = context_of(env);
	if (kept()->exports_class == 0) {
		JS_NewClassID(JS_GetRuntime(context), &kept()->exports_class);
		JS_NewClass(JS_GetRuntime(context), kept()->exports_class, &definition);
	}
	struct exports *exports = allocate_zeroed(sizeof *exports);
	JSValue object = JS_NewObjectClass(context, (int)kept()->exports_class);
	if (!exports || JS_IsException(object))
		end_out_of_memory();
	JS_SetOpaque(object, exports);
	initialise(env, (napi_value)&object);
	return object;
}
