/* Records in a buffer, for whatever sends many of them in one go. */
#include "native.h"

#include <errno.h>
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

/* takeRecords(bytes, start, end, separator, most) -> {end, count}: of the complete records, `most` at most; where the last ends. */
static napi_value js_take_records(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes bytes;
	int64_t start, end, most;
	int separator;
	napi_value result;
	if (!read_arguments(env, info, 5, &arguments) || !bytes_argument(&arguments, 0, &bytes) ||
	    !int64_argument(&arguments, 1, &start) || !int64_argument(&arguments, 2, &end) ||
	    !int_argument(&arguments, 3, &separator) || !int64_argument(&arguments, 4, &most))
		return NULL;
	if (start < 0 || end < start || (size_t)end > bytes.length)
		return throw_errno(env, EINVAL, "takeRecords");
	int64_t count = 0;
	for (size_t from, size, next; count < most && find_record(bytes.data + start, (size_t)(end - start), separator, &from, &size, &next);) {
		start += (int64_t)next;
		count++;
	}
	napi_create_object(env, &result);
	napi_set_named_property(env, result, "end", js_number(env, (double)start));
	napi_set_named_property(env, result, "count", js_number(env, (double)count));
	return result;
}

static const struct export table[] = {
	{"takeRecords", js_take_records},
};

void export_records(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
