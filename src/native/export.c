/* Functions as properties of the module. The executable has another file in the place of this one. */
#include "native.h"

void export_all(napi_env env, napi_value exports, const struct export *table, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		napi_value function;
		if (napi_create_function(env, table[i].name, NAPI_AUTO_LENGTH, table[i].function, NULL, &function) == napi_ok)
			napi_set_named_property(env, exports, table[i].name, function);
	}
}
