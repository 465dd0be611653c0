/* What the build has put into the executable. */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

const struct resource *find_resource(const struct resource_table *table, const char *name)
{
	size_t low = 0, high = table->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(name, table->rows[middle].name);
		if (order == 0)
			return &table->rows[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

JSModuleDef *load_module(JSContext *context, const char *name, void *opaque)
{
	(void)opaque;
	const struct resource *module = find_resource(&bundled_modules, name);
	if (!module) {
		JS_ThrowReferenceError(context, "no module '%s' in this executable", name);
		return NULL;
	}
	JSValue value = JS_ReadObject(context, module->bytes, (size_t)(module->end - module->bytes), JS_READ_OBJ_BYTECODE);
	return JS_IsException(value) ? NULL : JS_VALUE_GET_PTR(value);
}

/* lateModule(name) -> the exports of a module that few starts need, which is loaded now. */
static napi_value js_late_module(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	char *name;
	napi_value result;
	JSContext *context = context_of(env);
	if (!read_arguments(env, info, 1, &arguments) || !text_argument(&arguments, 0, &name))
		return NULL;
	JSModuleDef *module = load_module(context, name, NULL);
	free(name);
	JSValue code = module ? JS_MKPTR(JS_TAG_MODULE, module) : JS_EXCEPTION;
	JSValue done = module && JS_ResolveModule(context, code) == 0 ? JS_EvalFunction(context, JS_DupValue(context, code)) : JS_EXCEPTION;
	if (JS_IsException(done))
		return NULL;
	JS_FreeValue(context, done);
	answer(env, JS_GetModuleNamespace(context, module), &result);
	return result;
}

/* builtText(name) -> the text; undefined where there is none. */
static napi_value js_built_text(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	char *name;
	napi_value result;
	if (!read_arguments(env, info, 1, &arguments) || !text_argument(&arguments, 0, &name))
		return NULL;
	const struct resource *text = find_resource(&bundled_texts, name);
	free(name);
	if (!text)
		return js_undefined(env);
	napi_create_string_utf8(env, (const char *)text->bytes, (size_t)(text->end - text->bytes), &result);
	return result;
}

static const struct export table[] = {
	{"builtText", js_built_text},
	{"lateModule", js_late_module},
};

void export_host_resources(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
