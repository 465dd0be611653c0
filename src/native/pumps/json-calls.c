/*
 * JSON-RPC 2.0 in lines, many in one call: a request that can be sent as it is, and an answer that can be printed as it is, need
 * no more than to be recognised. What is unusual in any way is left to the caller.
 */
#include "../native.h"
#include "json-scan.h"

#include <string.h>

#define MOST_DEPTH 512
#define MOST_MEMBERS 8
#define MOST_DIGITS 15 /* of an id: a number that JavaScript has exactly */
#define NUMBERS_A_LINE 2

struct text {
	const uint8_t *at, *end;
};

struct member {
	struct text name, value;
};

struct object {
	struct text text;
	struct member members[MOST_MEMBERS];
	int count;
};

static bool is_space(uint8_t byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static struct text trimmed(struct text text)
{
	while (text.at < text.end && is_space(*text.at))
		text.at++;
	while (text.at < text.end && is_space(text.end[-1]))
		text.end--;
	return text;
}

static bool equals(struct text text, const char *other, size_t length)
{
	return (size_t)(text.end - text.at) == length && memcmp(text.at, other, length) == 0;
}
#define EQUALS(text, literal) equals(text, literal, sizeof(literal) - 1)

/* From text that is known to be a member; false where its name has an escape, which may stand for any letter. */
static bool read_member(struct text text, struct member *member)
{
	const struct text whole = trimmed(text);
	const uint8_t *name = whole.at + 1;
	const uint8_t *end = memchr(name, '"', (size_t)(whole.end - name));
	if (memchr(name, '\\', (size_t)(end - name)))
		return false;
	member->name = (struct text){name, end};
	/* Behind the name and its colon. */
	const struct text rest = trimmed((struct text){end + 1, whole.end});
	member->value = trimmed((struct text){rest.at + 1, rest.end});
	return true;
}

/*
 * Whether the line is one JSON object with few members, and space around it at most. UTF-8 is not checked. What is between the
 * commas is known to be a member each.
 */
static bool read_object(struct text line, struct object *object)
{
	union {
		struct json_scan scan;
		int32_t words[sizeof(struct json_scan) / sizeof(int32_t) + MOST_DEPTH / 32];
	} memory = {.scan = {.most_depth = MOST_DEPTH, .tells_members = true}};
	object->text = trimmed(line);
	object->count = 0;
	const uint8_t *at = object->text.at, *end = object->text.end;
	if (at == end || *at != '{' || end - at < 3)
		return false;
	for (const uint8_t *from = at + 1; memory.scan.verdict != COMPLETE; from = at) {
		at = json_scan(&memory.scan, at, end);
		if ((memory.scan.verdict != MEMBER && memory.scan.verdict != COMPLETE) || object->count == MOST_MEMBERS)
			return false;
		const struct text text = {from, at - 1};
		if (trimmed(text).at == text.end || !read_member(text, &object->members[object->count++]))
			return false;
	}
	return at == end;
}

static bool read_id(struct text value, double *id)
{
	if (value.end - value.at > MOST_DIGITS)
		return false;
	*id = 0;
	for (const uint8_t *at = value.at; at < value.end; at++) {
		if (*at < '0' || *at > '9')
			return false;
		*id = 10 * *id + (*at - '0');
	}
	return true;
}

/* Which members have been seen. */
enum { OTHER, VERSION = 1, ID = 2, METHOD = 4, PARAMS = 8 };

static int kind_of(struct text name)
{
	return EQUALS(name, "id") ? ID : EQUALS(name, "method") ? METHOD : EQUALS(name, "params") ? PARAMS : EQUALS(name, "jsonrpc") ? VERSION : OTHER;
}

static bool is_usual_request(const struct object *object, double *id)
{
	int seen = OTHER;
	for (int i = 0; i < object->count; i++) {
		const struct text value = object->members[i].value;
		const int kind = kind_of(object->members[i].name);
		/* Of a name that occurs twice the last one counts. */
		if ((seen & kind) || (kind == VERSION && !EQUALS(value, "\"2.0\"")) || (kind == ID && !read_id(value, id)) ||
		    (kind == METHOD && *value.at != '"') || (kind == PARAMS && *value.at != '[' && *value.at != '{'))
			return false;
		seen |= kind;
	}
	return (seen | PARAMS) == (VERSION | ID | METHOD | PARAMS);
}

/* Outside of strings. */
static bool has_space(struct text text)
{
	bool is_inside = false;
	if (!memchr(text.at, ' ', (size_t)(text.end - text.at)) && !memchr(text.at, '\t', (size_t)(text.end - text.at)) &&
	    !memchr(text.at, '\r', (size_t)(text.end - text.at)))
		return false;
	for (const uint8_t *at = text.at; at < text.end; at++)
		if (*at == '"')
			is_inside = !is_inside;
		else if (is_inside && *at == '\\')
			at++;
		else if (!is_inside && is_space(*at))
			return true;
	return false;
}

/* A result on one line, without space, as most servers write it: the version, then the id and the result in either order. */
static bool is_usual_answer(const struct object *object, double *id)
{
	const struct member *version = &object->members[0];
	const bool is_id_first = object->count == 3 && EQUALS(object->members[1].name, "id");
	const struct member *one = &object->members[is_id_first ? 1 : 2], *other = &object->members[is_id_first ? 2 : 1];
	return object->count == 3 && EQUALS(version->name, "jsonrpc") && EQUALS(version->value, "\"2.0\"") &&
	       EQUALS(one->name, "id") && EQUALS(other->name, "result") && read_id(one->value, id) && !has_space(object->text);
}

/* The lines at the beginning of the range that are usual: the id of each, and where it ends. */
static napi_value find_usual(napi_env env, napi_callback_info info, bool are_answers)
{
	struct arguments arguments;
	struct bytes bytes;
	int64_t start, end, most_bytes, most;
	double *found;
	size_t room;
	if (!read_arguments(env, info, 6, &arguments) || !bytes_argument(&arguments, 0, &bytes) ||
	    !int64_argument(&arguments, 1, &start) || !int64_argument(&arguments, 2, &end) ||
	    !int64_argument(&arguments, 3, &most_bytes) || !int64_argument(&arguments, 4, &most) ||
	    !float64_array_argument(&arguments, 5, &found, &room))
		return NULL;
	if (start < 0 || end < start || (uint64_t)end > bytes.length || most > (int64_t)(room / NUMBERS_A_LINE))
		return napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "outside the buffer"), NULL;
	int64_t count = 0;
	for (const uint8_t *at = bytes.data + start, *limit = bytes.data + end; at < limit && count < most; count++) {
		const uint8_t *newline = memchr(at, '\n', (size_t)(limit - at));
		double *row = found + NUMBERS_A_LINE * count;
		struct object object;
		if (!newline || newline - at > most_bytes || !read_object((struct text){at, newline}, &object))
			break;
		const bool is_whole_line = object.text.at == at && object.text.end == newline;
		if (are_answers ? !is_whole_line || !is_usual_answer(&object, row) : !is_usual_request(&object, row))
			break;
		at = newline + 1;
		row[1] = (double)(at - bytes.data);
	}
	return js_number(env, (double)count);
}

/* usualRequests(bytes, start, end, mostBytes, most, found) -> how many */
static napi_value js_usual_requests(napi_env env, napi_callback_info info)
{
	return find_usual(env, info, false);
}

/* usualAnswers(bytes, start, end, mostBytes, most, found) -> how many */
static napi_value js_usual_answers(napi_env env, napi_callback_info info)
{
	return find_usual(env, info, true);
}

static const struct export table[] = {
	{"usualRequests", js_usual_requests},
	{"usualAnswers", js_usual_answers},
};

void export_json_calls(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
