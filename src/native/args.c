/* JavaScript values to C values: the only place. */
#include "native.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool refuse(struct arguments *arguments, size_t index, const char *expected)
{
	char message[80];
	snprintf(message, sizeof message, "argument %zu must be %s", index + 1, expected);
	napi_throw_type_error(arguments->env, "ERR_INVALID_ARG_TYPE", message);
	return false;
}

bool read_arguments(napi_env env, napi_callback_info info, size_t count, struct arguments *arguments)
{
	size_t given = sizeof arguments->value / sizeof arguments->value[0];
	arguments->env = env;
	if (napi_get_cb_info(env, info, &given, arguments->value, NULL, NULL) != napi_ok)
		return false;
	if (given < count) {
		char message[80];
		snprintf(message, sizeof message, "%zu arguments expected, %zu given", count, given);
		napi_throw_type_error(env, "ERR_MISSING_ARGS", message);
		return false;
	}
	return true;
}

bool int_argument(struct arguments *arguments, size_t index, int *result)
{
	double number;
	if (napi_get_value_double(arguments->env, arguments->value[index], &number) != napi_ok ||
	    !(number >= -2147483648.0 && number <= 2147483647.0) || number != (double)(int)number)
		return refuse(arguments, index, "a 32-bit integer");
	*result = (int)number;
	return true;
}

bool bool_argument(struct arguments *arguments, size_t index, bool *result)
{
	if (napi_get_value_bool(arguments->env, arguments->value[index], result) != napi_ok)
		return refuse(arguments, index, "a boolean");
	return true;
}

bool int64_argument(struct arguments *arguments, size_t index, int64_t *result)
{
	double number;
	bool lossless;
	if (napi_get_value_bigint_int64(arguments->env, arguments->value[index], result, &lossless) == napi_ok) {
		if (!lossless)
			return refuse(arguments, index, "an integer of 64 bits");
		return true;
	}
	if (napi_get_value_double(arguments->env, arguments->value[index], &number) != napi_ok ||
	    !(number >= -9007199254740991.0 && number <= 9007199254740991.0) || number != (double)(int64_t)number)
		return refuse(arguments, index, "an integer");
	*result = (int64_t)number;
	return true;
}

/* The memory of a typed array of that kind, and how many items it has. */
static bool items_argument(struct arguments *arguments, size_t index, napi_typedarray_type wanted, void **data,
			   size_t *length)
{
	napi_typedarray_type type;
	bool typed;
	return napi_is_typedarray(arguments->env, arguments->value[index], &typed) == napi_ok && typed &&
	       napi_get_typedarray_info(arguments->env, arguments->value[index], &type, length, data, NULL, NULL) ==
		       napi_ok &&
	       type == wanted;
}

bool bytes_argument(struct arguments *arguments, size_t index, struct bytes *result)
{
	void *data;
	if (!items_argument(arguments, index, napi_uint8_array, &data, &result->length))
		return refuse(arguments, index, "a Uint8Array");
	result->data = data;
	return true;
}

bool int32_array_argument(struct arguments *arguments, size_t index, int32_t **data, size_t *length)
{
	void *items;
	if (!items_argument(arguments, index, napi_int32_array, &items, length))
		return refuse(arguments, index, "an Int32Array");
	*data = items;
	return true;
}

bool float64_array_argument(struct arguments *arguments, size_t index, double **data, size_t *length)
{
	void *items;
	if (!items_argument(arguments, index, napi_float64_array, &items, length))
		return refuse(arguments, index, "a Float64Array");
	*data = items;
	return true;
}

bool text_argument(struct arguments *arguments, size_t index, char **result)
{
	size_t length;
	if (napi_get_value_string_utf8(arguments->env, arguments->value[index], NULL, 0, &length) != napi_ok)
		return refuse(arguments, index, "a string");
	char *text = malloc(length + 1);
	if (!text) {
		throw_errno(arguments->env, 12 /* ENOMEM */, "malloc");
		return false;
	}
	napi_get_value_string_utf8(arguments->env, arguments->value[index], text, length + 1, &length);
	if (strlen(text) != length) {
		free(text);
		return refuse(arguments, index, "a string without NUL");
	}
	*result = text;
	return true;
}

void *handle_argument(struct arguments *arguments, size_t index, const napi_type_tag *tag)
{
	napi_valuetype type;
	bool is_ours;
	void *data;
	if (napi_typeof(arguments->env, arguments->value[index], &type) != napi_ok || type != napi_object ||
	    napi_check_object_type_tag(arguments->env, arguments->value[index], tag, &is_ours) != napi_ok || !is_ours ||
	    napi_unwrap(arguments->env, arguments->value[index], &data) != napi_ok) {
		refuse(arguments, index, "a handle of this kind");
		return NULL;
	}
	return data;
}

napi_value make_handle(napi_env env, void *data, const napi_type_tag *tag, napi_finalize finish)
{
	napi_value handle;
	if (napi_create_object(env, &handle) != napi_ok || napi_type_tag_object(env, handle, tag) != napi_ok ||
	    napi_wrap(env, handle, data, finish, NULL, NULL) != napi_ok) {
		finish(env, data, NULL);
		return throw_errno(env, 12 /* ENOMEM */, "napi_wrap");
	}
	return handle;
}

void free_texts(char **texts)
{
	for (char **text = texts; text && *text; text++)
		free(*text);
	free(texts);
}

bool texts_argument(struct arguments *arguments, size_t index, char ***result)
{
	napi_env env = arguments->env;
	bool is_array;
	uint32_t length;
	if (napi_is_array(env, arguments->value[index], &is_array) != napi_ok || !is_array ||
	    napi_get_array_length(env, arguments->value[index], &length) != napi_ok)
		return refuse(arguments, index, "an array of strings");
	char **texts = calloc((size_t)length + 1, sizeof *texts);
	if (!texts) {
		throw_errno(env, 12 /* ENOMEM */, "calloc");
		return false;
	}
	for (uint32_t i = 0; i < length; i++) {
		struct arguments item = {.env = env};
		if (napi_get_element(env, arguments->value[index], i, &item.value[0]) != napi_ok ||
		    !text_argument(&item, 0, &texts[i])) {
			free_texts(texts);
			return false;
		}
	}
	*result = texts;
	return true;
}

napi_value js_number(napi_env env, double number)
{
	napi_value result = NULL;
	napi_create_double(env, number, &result);
	return result;
}

napi_value js_undefined(napi_env env)
{
	napi_value result = NULL;
	napi_get_undefined(env, &result);
	return result;
}
