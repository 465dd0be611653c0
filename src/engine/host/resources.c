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
};

void export_host_resources(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
