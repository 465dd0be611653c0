/* The part of Node-API that src/native uses, on quickjs-ng: making values and reading them. */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

napi_status napi_get_undefined(napi_env env, napi_value *result)
{
	return answer(env, JS_UNDEFINED, result);
}

napi_status napi_get_boolean(napi_env env, bool value, napi_value *result)
{
	return answer(env, JS_NewBool(context_of(env), value), result);
}

napi_status napi_create_double(napi_env env, double value, napi_value *result)
{
	return answer(env, JS_NewNumber(context_of(env), value), result);
}

napi_status napi_create_int32(napi_env env, int32_t value, napi_value *result)
{
	return answer(env, JS_NewInt32(context_of(env), value), result);
}

napi_status napi_create_bigint_uint64(napi_env env, uint64_t value, napi_value *result)
{
	return answer(env, JS_NewBigUint64(context_of(env), value), result);
}

napi_status napi_create_bigint_int64(napi_env env, int64_t value, napi_value *result)
{
	return answer(env, JS_NewBigInt64(context_of(env), value), result);
}

napi_status napi_create_string_utf8(napi_env env, const char *text, size_t length, napi_value *result)
{
	if (length == NAPI_AUTO_LENGTH)
		length = strlen(text);
	return answer(env, string_of_bytes(context_of(env), (const uint8_t *)text, length), result);
}

napi_status napi_create_string_latin1(napi_env env, const char *text, size_t length, napi_value *result)
{
	if (length == NAPI_AUTO_LENGTH)
		length = strlen(text);
	uint16_t *wide = malloc(length * sizeof *wide + 1);
	if (!wide) {
		note_out_of_memory();
		JS_ThrowOutOfMemory(context_of(env));
		return napi_pending_exception;
	}
	for (size_t i = 0; i < length; i++)
		wide[i] = (uint8_t)text[i];
	JSValue value = JS_NewStringUTF16(context_of(env), wide, length);
	free(wide);
	return answer(env, value, result);
}

napi_status napi_create_string_utf16(napi_env env, const char16_t *text, size_t length, napi_value *result)
{
	return answer(env, JS_NewStringUTF16(context_of(env), (const uint16_t *)text, length), result);
}

napi_status napi_create_object(napi_env env, napi_value *result)
{
	return answer(env, JS_NewObject(context_of(env)), result);
}

napi_status napi_create_array(napi_env env, napi_value *result)
{
	return answer(env, JS_NewArray(context_of(env)), result);
}

napi_status napi_create_array_with_length(napi_env env, size_t length, napi_value *result)
{
	napi_status status = napi_create_array(env, result);
	if (status == napi_ok && JS_SetLength(context_of(env), value_of(*result), (int64_t)length) < 0)
		return napi_pending_exception;
	return status;
}

napi_status napi_set_element(napi_env env, napi_value array, uint32_t index, napi_value value)
{
	JSContext *context = context_of(env);
	return JS_SetPropertyUint32(context, value_of(array), index, JS_DupValue(context, value_of(value))) < 0
		       ? napi_pending_exception
		       : napi_ok;
}

napi_status napi_get_element(napi_env env, napi_value array, uint32_t index, napi_value *result)
{
	return answer(env, JS_GetPropertyUint32(context_of(env), value_of(array), index), result);
}

napi_status napi_set_named_property(napi_env env, napi_value object, const char *name, napi_value value)
{
	JSContext *context = context_of(env);
	return JS_SetPropertyStr(context, value_of(object), name, JS_DupValue(context, value_of(value))) < 0
		       ? napi_pending_exception
		       : napi_ok;
}

napi_status napi_is_array(napi_env env, napi_value value, bool *result)
{
	(void)env;
	*result = JS_IsArray(value_of(value));
	return napi_ok;
}

napi_status napi_get_array_length(napi_env env, napi_value value, uint32_t *result)
{
	int64_t length;
	if (!JS_IsArray(value_of(value)))
		return napi_array_expected;
	if (JS_GetLength(context_of(env), value_of(value), &length) < 0)
		return napi_pending_exception;
	*result = (uint32_t)length;
	return napi_ok;
}

napi_status napi_typeof(napi_env env, napi_value value, napi_valuetype *result)
{
	JSValue v = value_of(value);
	*result = JS_IsUndefined(v)			 ? napi_undefined
		  : JS_IsNull(v)			 ? napi_null
		  : JS_IsBool(v)			 ? napi_boolean
		  : JS_IsNumber(v)			 ? napi_number
		  : JS_IsString(v)			 ? napi_string
		  : JS_IsSymbol(v)			 ? napi_symbol
		  : JS_IsBigInt(v)			 ? napi_bigint
		  : JS_IsFunction(context_of(env), v) ? napi_function
							 : napi_object;
	return napi_ok;
}

napi_status napi_get_value_bool(napi_env env, napi_value value, bool *result)
{
	if (!JS_IsBool(value_of(value)))
		return napi_boolean_expected;
	*result = JS_ToBool(context_of(env), value_of(value)) > 0;
	return napi_ok;
}

napi_status napi_get_value_double(napi_env env, napi_value value, double *result)
{
	if (!JS_IsNumber(value_of(value)))
		return napi_number_expected;
	return JS_ToFloat64(context_of(env), result, value_of(value)) < 0 ? napi_pending_exception : napi_ok;
}

napi_status napi_get_value_bigint_int64(napi_env env, napi_value value, int64_t *result, bool *lossless)
{
	JSContext *context = context_of(env);
	if (!JS_IsBigInt(value_of(value)))
		return napi_bigint_expected;
	if (JS_ToBigInt64(context, result, value_of(value)) < 0)
		return napi_pending_exception;
	JSValue back = JS_NewBigInt64(context, *result);
	*lossless = JS_IsStrictEqual(context, back, value_of(value));
	JS_FreeValue(context, back);
	return napi_ok;
}

/*
 * A lone surrogate, for which the engine writes three bytes, becomes the byte that it stands for (string_of_bytes), or else U+FFFD,
 * as in Node. Answers how many bytes that makes; `to` may be NULL.
 */
static size_t replace_surrogates(const uint8_t *bytes, size_t length, uint8_t *to)
{
	size_t made = 0;
	for (size_t i = 0; i < length; i++, made++) {
		uint8_t byte = bytes[i];
		if (byte == 0xed && i + 2 < length && bytes[i + 1] >= 0xa0) {
			bool is_byte = bytes[i + 1] == 0xb2 || bytes[i + 1] == 0xb3;
			if (is_byte)
				byte = (uint8_t)(0x80 | (bytes[i + 1] & 1) << 6 | (bytes[i + 2] & 0x3f));
			else if (to)
				memcpy(to + made, "\xef\xbf", 2);
			if (!is_byte)
				made += 2, byte = 0xbd;
			i += 2;
		}
		if (to)
			to[made] = byte;
	}
	return made;
}

napi_status napi_get_value_string_utf8(napi_env env, napi_value value, char *text, size_t size, size_t *result)
{
	size_t length;
	if (!JS_IsString(value_of(value)))
		return napi_string_expected;
	const char *bytes = JS_ToCStringLen(context_of(env), &length, value_of(value));
	if (!bytes)
		return napi_pending_exception;
	bool has_surrogate = memchr(bytes, 0xed, length) != NULL;
	if (text && size > 0) {
		if (length > size - 1 && replace_surrogates((const uint8_t *)bytes, length, NULL) > size - 1) {
			length = size - 1;
			while (length > 0 && ((uint8_t)bytes[length] & 0xc0) == 0x80)
				length--;
		}
		if (has_surrogate)
			length = replace_surrogates((const uint8_t *)bytes, length, (uint8_t *)text);
		else
			memcpy(text, bytes, length);
		text[length] = 0;
	} else if (has_surrogate)
		length = replace_surrogates((const uint8_t *)bytes, length, NULL);
	if (result)
		*result = length;
	JS_FreeCString(context_of(env), bytes);
	return napi_ok;
}

napi_status napi_is_typedarray(napi_env env, napi_value value, bool *result)
{
	(void)env;
	*result = JS_GetTypedArrayType(value_of(value)) >= 0;
	return napi_ok;
}

napi_status napi_get_typedarray_info(napi_env env, napi_value value, napi_typedarray_type *type, size_t *length, void **data,
				     napi_value *buffer, size_t *offset)
{
	static const napi_typedarray_type types[] = {
		[JS_TYPED_ARRAY_UINT8C] = napi_uint8_clamped_array,
		[JS_TYPED_ARRAY_INT8] = napi_int8_array,
		[JS_TYPED_ARRAY_UINT8] = napi_uint8_array,
		[JS_TYPED_ARRAY_INT16] = napi_int16_array,
		[JS_TYPED_ARRAY_UINT16] = napi_uint16_array,
		[JS_TYPED_ARRAY_INT32] = napi_int32_array,
		[JS_TYPED_ARRAY_UINT32] = napi_uint32_array,
		[JS_TYPED_ARRAY_BIG_INT64] = napi_bigint64_array,
		[JS_TYPED_ARRAY_BIG_UINT64] = napi_biguint64_array,
		[JS_TYPED_ARRAY_FLOAT32] = napi_float32_array,
		[JS_TYPED_ARRAY_FLOAT64] = napi_float64_array,
	};
	(void)buffer;
	JSContext *context = context_of(env);
	size_t at, bytes, each, size;
	int found = JS_GetTypedArrayType(value_of(value));
	if (found < 0 || (size_t)found >= sizeof types / sizeof types[0])
		return napi_invalid_arg;
	JSValue array = JS_GetTypedArrayBuffer(context, value_of(value), &at, &bytes, &each);
	if (JS_IsException(array)) {
		/* Its memory was given to another buffer: empty, as in Node. */
		JS_FreeValue(context, JS_GetException(context));
		*type = types[found];
		*length = 0;
		*data = NULL;
		return napi_ok;
	}
	uint8_t *start = JS_GetArrayBuffer(context, &size, array);
	JS_FreeValue(context, array);
	if (!start && bytes > 0)
		return napi_detachable_arraybuffer_expected;
	*type = types[found];
	*length = bytes / each;
	*data = start ? start + at : NULL;
	if (offset)
		*offset = at;
	return napi_ok;
}

/* A size of 0 frees. */
static void *resize_bytes(JSRuntime *runtime, void *opaque, void *bytes, size_t size)
{
	(void)runtime, (void)opaque;
	if (size > 0)
		return realloc(bytes, size);
	free(bytes);
	return NULL;
}

napi_status napi_create_arraybuffer(napi_env env, size_t length, void **data, napi_value *result)
{
	/* calloc: a large one costs memory only where it is touched, and Node's is zeroed as well. */
	uint8_t *bytes = calloc(1, length > 0 ? length : 1);
	if (!bytes) {
		note_out_of_memory();
		JS_ThrowOutOfMemory(context_of(env));
		return napi_pending_exception;
	}
	JSValue buffer = JS_NewArrayBuffer(context_of(env), bytes, length, 0, resize_bytes, NULL, false);
	if (JS_IsException(buffer))
		return napi_pending_exception;
	if (data)
		*data = bytes;
	return answer(env, buffer, result);
}

napi_status napi_create_typedarray(napi_env env, napi_typedarray_type type, size_t length, napi_value buffer, size_t offset,
				   napi_value *result)
{
	JSContext *context = context_of(env);
	JSTypedArrayEnum kind;
	switch (type) {
	case napi_uint8_array:
		kind = JS_TYPED_ARRAY_UINT8;
		break;
	case napi_int32_array:
		kind = JS_TYPED_ARRAY_INT32;
		break;
	case napi_float64_array:
		kind = JS_TYPED_ARRAY_FLOAT64;
		break;
	default:
		return napi_invalid_arg;
	}
	JSValueConst arguments[] = {value_of(buffer), JS_NewNumber(context, (double)offset), JS_NewNumber(context, (double)length)};
	return answer(env, JS_NewTypedArray(context, 3, arguments, kind), result);
}

napi_status napi_create_buffer(napi_env env, size_t length, void **data, napi_value *result)
{
	napi_value buffer;
	napi_status status = napi_create_arraybuffer(env, length, data, &buffer);
	if (status == napi_ok)
		status = napi_create_typedarray(env, napi_uint8_array, length, buffer, 0, result);
	if (status == napi_ok && JS_SetPrototype(context_of(env), value_of(*result), buffer_prototype_of(env)) < 0)
		return napi_pending_exception;
	return status;
}
