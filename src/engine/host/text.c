/* Text codecs for the stand-ins of Buffer and TextDecoder. */
#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * One character of UTF-8 at `at`: its code point and length; for what is invalid 0xFFFD, and how many bytes one replacement
 * stands for: the longest part that could have begun a character (the Encoding Standard, as Node has it).
 */
static uint32_t decode_one(const uint8_t *at, size_t left, size_t *length)
{
	uint8_t first = at[0], low = 0x80, high = 0xbf;
	size_t need;
	uint32_t code;
	*length = 1;
	if (first < 0x80)
		return first;
	if (first >= 0xc2 && first <= 0xdf)
		need = 1, code = first & 0x1f;
	else if (first >= 0xe0 && first <= 0xef)
		need = 2, code = first & 0x0f, low = first == 0xe0 ? 0xa0 : 0x80, high = first == 0xed ? 0x9f : 0xbf;
	else if (first >= 0xf0 && first <= 0xf4)
		need = 3, code = first & 0x07, low = first == 0xf0 ? 0x90 : 0x80, high = first == 0xf4 ? 0x8f : 0xbf;
	else
		return 0xfffd;
	for (size_t i = 1; i <= need; i++, low = 0x80, high = 0xbf) {
		if (i >= left || at[i] < low || at[i] > high)
			return 0xfffd;
		code = code << 6 | (at[i] & 0x3f);
		*length = i + 1;
	}
	return code;
}

/* Whether the code that decode_one answered stands for invalid bytes: U+FFFD itself is written with three. */
static bool is_replacement(uint32_t code, const uint8_t *at, size_t length)
{
	return code == 0xfffd && !(length == 3 && memcmp(at, "\xef\xbf\xbd", 3) == 0);
}

static bool is_valid_utf8(const uint8_t *bytes, size_t length)
{
	for (size_t i = 0, size; i < length; i += size) {
		uint32_t code = decode_one(bytes + i, length - i, &size);
		if (is_replacement(code, bytes + i, size))
			return false;
	}
	return true;
}

/*
 * The kernel's names and words may hold any bytes. What is not a part of valid UTF-8 becomes a lone surrogate, U+DC00 and the byte, as
 * Python's surrogateescape has it; where a string goes to the kernel it becomes the byte again (node-api-values.c).
 */
JSValue string_of_bytes(JSContext *context, const uint8_t *bytes, size_t length)
{
	if (is_valid_utf8(bytes, length))
		return JS_NewStringLen(context, (const char *)bytes, length);
	uint16_t *units = malloc(length * sizeof *units), *at = units;
	if (!units) {
		note_out_of_memory();
		return JS_ThrowOutOfMemory(context);
	}
	for (size_t i = 0, size; i < length; i += size) {
		uint32_t code = decode_one(bytes + i, length - i, &size);
		if (is_replacement(code, bytes + i, size)) {
			code = 0xdc00 | bytes[i];
			size = 1;
		} else if (code > 0xffff) {
			*at++ = (uint16_t)(0xd7c0 + (code >> 10));
			code = 0xdc00 | (code & 0x3ff);
		}
		*at++ = (uint16_t)code;
	}
	JSValue result = JS_NewStringUTF16(context, units, (size_t)(at - units));
	free(units);
	return result;
}

static bool range_arguments(struct arguments *arguments, struct bytes *bytes)
{
	int64_t start, end;
	if (!bytes_argument(arguments, 0, bytes) || !int64_argument(arguments, 1, &start) || !int64_argument(arguments, 2, &end))
		return false;
	if (start < 0 || end < start || (uint64_t)end > bytes->length) {
		napi_throw_range_error(arguments->env, "ERR_OUT_OF_RANGE", "outside the buffer");
		return false;
	}
	bytes->data += start;
	bytes->length = (size_t)(end - start);
	return true;
}

static bool is_ascii(const struct bytes *bytes)
{
	for (size_t i = 0; i < bytes->length; i++)
		if (bytes->data[i] >= 0x80)
			return false;
	return true;
}

/* decodeUtf8(bytes, start, end) -> text, U+FFFD for what is invalid. */
static napi_value js_decode_utf8(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes bytes;
	napi_value result;
	if (!read_arguments(env, info, 3, &arguments) || !range_arguments(&arguments, &bytes))
		return NULL;
	if (is_ascii(&bytes)) {
		napi_create_string_utf8(env, (const char *)bytes.data, bytes.length, &result);
		return result;
	}
	uint16_t *units = malloc(bytes.length * sizeof *units), *at = units;
	if (!units)
		return throw_errno(env, ENOMEM, "malloc");
	for (size_t i = 0, length; i < bytes.length; i += length) {
		uint32_t code = decode_one(bytes.data + i, bytes.length - i, &length);
		if (code > 0xffff) {
			*at++ = (uint16_t)(0xd7c0 + (code >> 10));
			code = 0xdc00 | (code & 0x3ff);
		}
		*at++ = (uint16_t)code;
	}
	napi_status status = napi_create_string_utf16(env, (const char16_t *)units, (size_t)(at - units), &result);
	free(units);
	return status == napi_ok ? result : NULL;
}

/* decodeLatin1(bytes, start, end) -> text, a character a byte. */
static napi_value js_decode_latin1(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes bytes;
	napi_value result;
	if (!read_arguments(env, info, 3, &arguments) || !range_arguments(&arguments, &bytes))
		return NULL;
	return napi_create_string_latin1(env, (const char *)bytes.data, bytes.length, &result) == napi_ok ? result : NULL;
}

/* isUtf8(bytes): whether all of it is valid. */
static napi_value js_is_utf8(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes bytes;
	napi_value result;
	if (!read_arguments(env, info, 1, &arguments) || !bytes_argument(&arguments, 0, &bytes))
		return NULL;
	napi_get_boolean(env, is_valid_utf8(bytes.data, bytes.length), &result);
	return result;
}

/* encodeUtf8(text) -> a Uint8Array; U+FFFD for lone surrogates. */
static napi_value js_encode_utf8(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	size_t length;
	void *bytes;
	napi_value buffer, result;
	if (!read_arguments(env, info, 1, &arguments))
		return NULL;
	if (napi_get_value_string_utf8(env, arguments.value[0], NULL, 0, &length) != napi_ok)
		return napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "argument 1 must be a string"), NULL;
	/* The copy ends with a NUL, for which the memory has room; the array does not show it. */
	if (napi_create_arraybuffer(env, length + 1, &bytes, &buffer) != napi_ok ||
	    napi_get_value_string_utf8(env, arguments.value[0], bytes, length + 1, &length) != napi_ok ||
	    napi_create_typedarray(env, napi_uint8_array, length, buffer, 0, &result) != napi_ok)
		return throw_errno(env, ENOMEM, "malloc");
	return result;
}

/* utf8Length(text) -> how many bytes encodeUtf8 would make. */
static napi_value js_utf8_length(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	size_t length;
	if (!read_arguments(env, info, 1, &arguments))
		return NULL;
	if (napi_get_value_string_utf8(env, arguments.value[0], NULL, 0, &length) != napi_ok)
		return napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "argument 1 must be a string"), NULL;
	return js_number(env, (double)length);
}

/* indexOf(bytes, wanted, from) -> where it begins first, -1 where it does not; lastIndexOf: at `from` or before. */
static napi_value js_index_of(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes bytes, wanted;
	int64_t from;
	if (!read_arguments(env, info, 3, &arguments) || !bytes_argument(&arguments, 0, &bytes) ||
	    !bytes_argument(&arguments, 1, &wanted) || !int64_argument(&arguments, 2, &from))
		return NULL;
	if (from < 0 || (uint64_t)from > bytes.length)
		return js_number(env, -1);
	if (wanted.length == 0)
		return js_number(env, (double)from);
	const uint8_t *found = memmem(bytes.data + from, bytes.length - (size_t)from, wanted.data, wanted.length);
	return js_number(env, found ? (double)(found - bytes.data) : -1);
}

/* compare(one, other) -> negative, 0 or positive, byte by byte. memcmp(3) */
static napi_value js_compare(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes one, other;
	if (!read_arguments(env, info, 2, &arguments) || !bytes_argument(&arguments, 0, &one) ||
	    !bytes_argument(&arguments, 1, &other))
		return NULL;
	size_t common = one.length < other.length ? one.length : other.length;
	int result = common > 0 ? memcmp(one.data, other.data, common) : 0;
	if (result == 0 && one.length != other.length)
		result = one.length < other.length ? -1 : 1;
	return js_number(env, result < 0 ? -1 : result > 0);
}

/* setBufferPrototype(prototype): what C makes as a buffer has it from now on. */
static napi_value js_set_buffer_prototype(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	if (!read_arguments(env, info, 1, &arguments))
		return NULL;
	set_buffer_prototype(env, value_of(arguments.value[0]));
	return js_undefined(env);
}

/* The one function that a module calls while it is loaded. */
bool depends_on_arguments_only(napi_callback function)
{
	return function == js_set_buffer_prototype;
}

static const struct export table[] = {
	{"setBufferPrototype", js_set_buffer_prototype},
	{"decodeUtf8", js_decode_utf8},
	{"decodeLatin1", js_decode_latin1},
	{"isUtf8", js_is_utf8},
	{"encodeUtf8", js_encode_utf8},
	{"utf8Length", js_utf8_length},
	{"indexOf", js_index_of},
	{"compare", js_compare},
};

void export_host_text(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
