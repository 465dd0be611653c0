/* Finds the ends of JSON values. */
#include "json-scan.h"

#include "../native.h"

#include <string.h>

/* What a byte means outside of strings; 0 is nothing that JSON has. */
enum class {
	SPACE = 1,
	ZERO,
	DIGIT,
	MINUS,
	PLUS,
	POINT,
	SMALL_E,
	LARGE_E,
	LETTER_T,
	LETTER_R,
	LETTER_U,
	LETTER_F,
	LETTER_A,
	LETTER_L,
	LETTER_S,
	LETTER_N,
	QUOTE,
	OPENING,
	CLOSING,
	COMMA,
	COLON,
	CLASSES
};

static const uint8_t class_of[256] = {
	[' '] = SPACE,    ['\n'] = SPACE,   ['\r'] = SPACE,   ['\t'] = SPACE,   ['0'] = ZERO,     ['1'] = DIGIT,
	['2'] = DIGIT,    ['3'] = DIGIT,    ['4'] = DIGIT,    ['5'] = DIGIT,    ['6'] = DIGIT,    ['7'] = DIGIT,
	['8'] = DIGIT,    ['9'] = DIGIT,    ['-'] = MINUS,    ['+'] = PLUS,     ['.'] = POINT,    ['e'] = SMALL_E,
	['E'] = LARGE_E,  ['t'] = LETTER_T, ['r'] = LETTER_R, ['u'] = LETTER_U, ['f'] = LETTER_F, ['a'] = LETTER_A,
	['l'] = LETTER_L, ['s'] = LETTER_S, ['n'] = LETTER_N, ['"'] = QUOTE,    ['{'] = OPENING,  ['['] = OPENING,
	['}'] = CLOSING,  [']'] = CLOSING,  [','] = COMMA,    [':'] = COLON,
};

/* What was read last, which decides what may follow; and in place of a state, what else is to be done. */
enum state {
	WRONG, /* as the state of a scan: nothing has been read */
	VALUE,
	FIRST_ELEMENT,
	FIRST_NAME,
	NAME,
	BEHIND_NAME,
	BEHIND_VALUE,
	NEGATIVE,
	NAUGHT,
	INTEGER,
	DECIMAL_POINT,
	FRACTION,
	EXPONENT,
	EXPONENT_SIGN,
	EXPONENT_DIGITS,
	T,
	TR,
	TRU,
	F,
	FA,
	FAL,
	FALS,
	N,
	NU,
	NUL,
	STATES,
	BEGINS_STRING = STATES,
	OPENS,
	CLOSES,
	SEPARATES
};

#define BEGIN_OF_VALUE \
	[QUOTE] = BEGINS_STRING, [OPENING] = OPENS, [MINUS] = NEGATIVE, [ZERO] = NAUGHT, [DIGIT] = INTEGER, \
	[LETTER_T] = T, [LETTER_F] = F, [LETTER_N] = N
#define END_OF_VALUE [SPACE] = BEHIND_VALUE, [COMMA] = SEPARATES, [CLOSING] = CLOSES
#define BOTH_E [SMALL_E] = EXPONENT, [LARGE_E] = EXPONENT

static const uint8_t following[STATES][CLASSES] = {
	[VALUE] = {BEGIN_OF_VALUE, [SPACE] = VALUE},
	[FIRST_ELEMENT] = {BEGIN_OF_VALUE, [SPACE] = FIRST_ELEMENT, [CLOSING] = CLOSES},
	[FIRST_NAME] = {[SPACE] = FIRST_NAME, [QUOTE] = BEGINS_STRING, [CLOSING] = CLOSES},
	[NAME] = {[SPACE] = NAME, [QUOTE] = BEGINS_STRING},
	[BEHIND_NAME] = {[SPACE] = BEHIND_NAME, [COLON] = VALUE},
	[BEHIND_VALUE] = {END_OF_VALUE},
	[NEGATIVE] = {[ZERO] = NAUGHT, [DIGIT] = INTEGER},
	[NAUGHT] = {END_OF_VALUE, BOTH_E, [POINT] = DECIMAL_POINT},
	[INTEGER] = {END_OF_VALUE, BOTH_E, [POINT] = DECIMAL_POINT, [ZERO] = INTEGER, [DIGIT] = INTEGER},
	[DECIMAL_POINT] = {[ZERO] = FRACTION, [DIGIT] = FRACTION},
	[FRACTION] = {END_OF_VALUE, BOTH_E, [ZERO] = FRACTION, [DIGIT] = FRACTION},
	[EXPONENT] = {[PLUS] = EXPONENT_SIGN, [MINUS] = EXPONENT_SIGN, [ZERO] = EXPONENT_DIGITS, [DIGIT] = EXPONENT_DIGITS},
	[EXPONENT_SIGN] = {[ZERO] = EXPONENT_DIGITS, [DIGIT] = EXPONENT_DIGITS},
	[EXPONENT_DIGITS] = {END_OF_VALUE, [ZERO] = EXPONENT_DIGITS, [DIGIT] = EXPONENT_DIGITS},
	[T] = {[LETTER_R] = TR},
	[TR] = {[LETTER_U] = TRU},
	[TRU] = {[SMALL_E] = BEHIND_VALUE},
	[F] = {[LETTER_A] = FA},
	[FA] = {[LETTER_L] = FAL},
	[FAL] = {[LETTER_S] = FALS},
	[FALS] = {[SMALL_E] = BEHIND_VALUE},
	[N] = {[LETTER_U] = NU},
	[NU] = {[LETTER_L] = NUL},
	[NUL] = {[LETTER_L] = BEHIND_VALUE},
};

enum string { OUTSIDE, INSIDE, ESCAPED };

static bool is_hexadecimal(uint8_t byte)
{
	return (byte >= '0' && byte <= '9') || ((byte | 32) >= 'a' && (byte | 32) <= 'f');
}

/* Bytes of a string that are no more than themselves. */
static inline bool is_plain(uint8_t byte)
{
	return byte >= ' ' && byte != '"' && byte != '\\';
}

/* To behind the closing quote, or to the limit; NO_JSON at a byte that no string may contain there. */
static const uint8_t *skip_string(struct json_scan *scan, const uint8_t *at, const uint8_t *limit)
{
	for (; at < limit; at++) {
		if (*at < ' ')
			break;
		if (scan->string == ESCAPED) {
			if (!memchr("\"\\/bfnrtu", *at, 9))
				break;
			scan->string = INSIDE;
			scan->digits = *at == 'u' ? 4 : 0;
		} else if (scan->digits > 0) {
			if (!is_hexadecimal(*at))
				break;
			scan->digits--;
		} else if (*at == '\\') {
			scan->string = ESCAPED;
		} else if (*at == '"') {
			scan->string = OUTSIDE;
			return at + 1;
		}
	}
	if (at < limit)
		scan->verdict = NO_JSON;
	return at;
}

static bool is_object(const struct json_scan *scan)
{
	const int32_t top = scan->depth - 1;
	return scan->objects[top / 32] >> top % 32 & 1;
}

static void open_one(struct json_scan *scan, uint8_t bracket)
{
	const uint32_t bit = (uint32_t)1 << scan->depth % 32;
	uint32_t *word = &scan->objects[scan->depth++ / 32];
	*word = bracket == '{' ? *word | bit : *word & ~bit;
	scan->state = bracket == '{' ? FIRST_NAME : FIRST_ELEMENT;
}

/* What is more than another state. */
static void act(struct json_scan *scan, int action, uint8_t byte)
{
	switch (action) {
	case OPENS:
		if (scan->depth == scan->most_depth)
			scan->verdict = TOO_DEEP;
		else
			open_one(scan, byte);
		return;
	case CLOSES:
		if (scan->depth == 0 || is_object(scan) != (byte == '}'))
			break;
		scan->depth--;
		scan->state = BEHIND_VALUE;
		if (scan->depth == 0)
			scan->verdict = COMPLETE;
		return;
	case SEPARATES:
		if (scan->depth == 0)
			break;
		scan->state = is_object(scan) ? NAME : VALUE;
		if (scan->depth == 1 && scan->tells_members)
			scan->verdict = MEMBER;
		return;
	}
	scan->verdict = NO_JSON;
}

static bool expects_name(int state)
{
	return state == FIRST_NAME || state == NAME;
}

const uint8_t *json_scan(struct json_scan *scan, const uint8_t *at, const uint8_t *limit)
{
	int state = scan->state == WRONG ? VALUE : scan->state;
	scan->verdict = MORE;
	while (at < limit) {
		int next = BEGINS_STRING;
		if (scan->string == OUTSIDE) {
			next = following[state][class_of[*at]];
			if (next != WRONG && next < STATES) {
				state = next;
				at++;
				continue;
			}
		}
		if (next == BEGINS_STRING) {
			if (scan->string == OUTSIDE) {
				scan->string = INSIDE;
				for (at++; at < limit && is_plain(*at);)
					at++;
			}
			at = skip_string(scan, at, limit);
			if (scan->verdict != MORE || scan->string != OUTSIDE)
				break;
			state = expects_name(state) ? BEHIND_NAME : BEHIND_VALUE;
			continue;
		}
		scan->state = state;
		act(scan, next, *at);
		state = scan->state;
		if (scan->verdict == NO_JSON || scan->verdict == TOO_DEEP)
			break;
		at++;
		if (scan->verdict != MORE)
			break;
	}
	scan->state = state;
	return at;
}

/*
 * scanJson(scan, bytes, from, limit) -> where the next byte is. `scan` is an Int32Array, a struct json_scan: its first number is
 * the verdict afterwards.
 */
static napi_value js_scan_json(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes bytes;
	int32_t *words;
	size_t count;
	int64_t from, limit;
	if (!read_arguments(env, info, 4, &arguments) || !int32_array_argument(&arguments, 0, &words, &count) ||
	    !bytes_argument(&arguments, 1, &bytes) || !int64_argument(&arguments, 2, &from) ||
	    !int64_argument(&arguments, 3, &limit))
		return NULL;
	struct json_scan *scan = (struct json_scan *)words;
	const size_t header = sizeof *scan / sizeof *words;
	if (count < header || scan->most_depth < 0 || (size_t)scan->most_depth > (count - header) * 32 || scan->depth < 0 ||
	    scan->depth > scan->most_depth || scan->state < 0 || scan->state >= STATES)
		return napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "not a scan"), NULL;
	if (from < 0 || limit < from || (uint64_t)limit > bytes.length)
		return napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "outside the buffer"), NULL;
	return js_number(env, (double)(json_scan(scan, bytes.data + from, bytes.data + limit) - bytes.data));
}

static const struct export table[] = {
	{"scanJson", js_scan_json},
};

void export_json_scan(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
