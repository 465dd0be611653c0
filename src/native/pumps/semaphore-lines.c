/*
 * Lines that ask for something simple of a semaphore, many in one call: reading a line and answering it takes a tenth of the
 * time that it takes in JavaScript. What is not simple (a line that is not known yet, a wait that has to wait, a failure) is
 * left to the caller.
 */
#include "../calls/semaphore.h"

#include <stdio.h>
#include <string.h>

#define MOST_ROWS 16
#define KEY_BYTES 256
#define NUMBERS_A_ROW 4
/* "2147483647\n", and the end of a text in C. */
#define MOST_ANSWER_BYTES 12

enum kind { WAIT, POST, VALUE };

/* A known line. */
struct row {
	const uint8_t *key;
	size_t length;
	enum kind kind;
	struct touch touch;
};

struct batch {
	const uint8_t *data;
	size_t used, length;
	char *answers;
	size_t filled, room;
	struct row rows[MOST_ROWS];
	size_t count;
};

static struct row *find_row(struct batch *batch, const uint8_t *line, size_t length)
{
	for (size_t i = 0; i < batch->count; i++)
		if (batch->rows[i].length == length && memcmp(batch->rows[i].key, line, length) == 0)
			return &batch->rows[i];
	return NULL;
}

/* Whether it was done; otherwise nothing has happened. */
static bool perform(struct row *row)
{
	row->touch.problem = 0;
	row->touch.result = 0;
	if (row->kind == VALUE)
		semaphore_get_value(&row->touch);
	else if (row->kind == POST)
		semaphore_post(&row->touch);
	else
		semaphore_try_wait(&row->touch);
	return !row->touch.problem && (row->kind == VALUE || row->touch.result);
}

static void run_batch(void *context)
{
	struct batch *batch = context;
	while (batch->room - batch->filled >= MOST_ANSWER_BYTES) {
		const uint8_t *line = batch->data + batch->used;
		const uint8_t *newline = memchr(line, '\n', batch->length - batch->used);
		struct row *row = newline ? find_row(batch, line, (size_t)(newline - line)) : NULL;
		if (!row || !perform(row))
			return;
		char *answer = batch->answers + batch->filled;
		if (row->kind == VALUE)
			batch->filled += (size_t)snprintf(answer, MOST_ANSWER_BYTES, "%d\n", (int)row->touch.result);
		else
			batch->filled += (size_t)(stpcpy(answer, "ok\n") - answer);
		batch->used += (size_t)(newline - line) + 1;
	}
}

/* Throws and answers false where a row does not fit. */
static bool read_rows(struct batch *batch, struct arguments *arguments)
{
	napi_env env = arguments->env;
	struct bytes keys;
	int32_t *numbers;
	size_t count;
	if (!bytes_argument(arguments, 3, &keys) || !int32_array_argument(arguments, 4, &numbers, &count))
		return false;
	batch->count = count / NUMBERS_A_ROW;
	if (batch->count > MOST_ROWS || batch->count * KEY_BYTES > keys.length)
		return napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "too many rows"), false;
	for (size_t i = 0; i < batch->count; i++) {
		const int32_t *row = numbers + NUMBERS_A_ROW * i;
		struct arguments handle = {.env = env};
		if (row[0] < 0 || row[0] > KEY_BYTES || row[1] < WAIT || row[1] > VALUE || row[3] < 0)
			return napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "not a row"), false;
		if (napi_get_element(env, arguments->value[5], (uint32_t)row[3], &handle.value[0]) != napi_ok)
			return napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "argument 6 must be an array"), false;
		struct semaphore *semaphore = semaphore_argument(&handle, 0, row[1] != VALUE);
		if (!semaphore)
			return false;
		batch->rows[i] = (struct row){.key = keys.data + KEY_BYTES * i,
					      .length = (size_t)row[0],
					      .kind = (enum kind)row[1],
					      .touch = touch_of(semaphore, row[2])};
	}
	return true;
}

/*
 * semLines(bytes, start, end, keys, rows, semaphores, answers, filled) -> {used, filled}
 *
 * `rows` has four numbers for each line that is known: its length, what to do (0 wait, 1 post, 2 value), how many units, and
 * the index of its semaphore; its bytes are in `keys`, 256 for each. sem_trywait(3), sem_post(3), sem_getvalue(3)
 */
static napi_value js_sem_lines(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct batch batch = {0};
	struct bytes bytes, answers;
	int64_t start, end, filled;
	napi_value result;
	if (!read_arguments(env, info, 8, &arguments) || !bytes_argument(&arguments, 0, &bytes) ||
	    !int64_argument(&arguments, 1, &start) || !int64_argument(&arguments, 2, &end) ||
	    !bytes_argument(&arguments, 6, &answers) || !int64_argument(&arguments, 7, &filled))
		return NULL;
	if (start < 0 || end < start || (uint64_t)end > bytes.length || filled < 0 || (uint64_t)filled > answers.length)
		return napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "outside the buffer"), NULL;
	if (!read_rows(&batch, &arguments))
		return NULL;
	batch.data = bytes.data + start;
	batch.length = (size_t)(end - start);
	batch.answers = (char *)answers.data;
	batch.filled = (size_t)filled;
	batch.room = answers.length;
	/* A line whose semaphore has been cut off is not done: the caller finds out why. */
	guarded(run_batch, &batch);
	napi_create_object(env, &result);
	napi_set_named_property(env, result, "used", js_number(env, (double)batch.used));
	napi_set_named_property(env, result, "filled", js_number(env, (double)batch.filled));
	return result;
}

static const struct export table[] = {
	{"semLines", js_sem_lines},
};

void export_semaphore_lines(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
