/* Records in a buffer, for whatever sends many of them in one go. */
#include "native.h"

#include <string.h>

bool find_record(const uint8_t *data, size_t length, int separator, size_t *start, size_t *size, size_t *next)
{
	if (separator >= 0) {
		const uint8_t *end = memchr(data, separator, length);
		if (!end)
			return false;
		*start = 0;
		*size = (size_t)(end - data);
		*next = *size + 1;
		return true;
	}
	if (length < 4)
		return false;
	*start = 4;
	*size = (size_t)data[0] << 24 | (size_t)data[1] << 16 | (size_t)data[2] << 8 | data[3];
	*next = 4 + *size;
	return *next <= length;
}

napi_value sent_records(napi_env env, size_t used, double records, const char *problem)
{
	napi_value result, text;
	napi_create_object(env, &result);
	napi_set_named_property(env, result, "used", js_number(env, (double)used));
	napi_set_named_property(env, result, "records", js_number(env, records));
	napi_create_string_utf8(env, problem, NAPI_AUTO_LENGTH, &text);
	napi_set_named_property(env, result, "problem", text);
	return result;
}
