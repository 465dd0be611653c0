/* Terminals: whether a person looks, and how wide. */
#include "native.h"

#include <sys/ioctl.h>
#include <unistd.h>

/* isatty(descriptor) -> boolean. isatty(3) */
static napi_value js_isatty(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor;
	napi_value result;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &descriptor))
		return NULL;
	napi_get_boolean(env, isatty(descriptor) == 1, &result);
	return result;
}

/* The terminal's size; false where a TypeError has been thrown. All zero where there is no window. */
static bool read_window(napi_env env, napi_callback_info info, struct winsize *size)
{
	struct arguments arguments;
	int descriptor;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &descriptor))
		return false;
	if (ioctl(descriptor, TIOCGWINSZ, size) < 0)
		*size = (struct winsize){0};
	return true;
}

/* windowColumns(descriptor) -> columns; 0 where there is no such thing. ioctl_tty(2) */
static napi_value js_window_columns(napi_env env, napi_callback_info info)
{
	struct winsize size;
	return read_window(env, info, &size) ? js_number(env, size.ws_col) : NULL;
}

/* windowRows(descriptor) -> rows; 0 where there is no such thing. ioctl_tty(2) */
static napi_value js_window_rows(napi_env env, napi_callback_info info)
{
	struct winsize size;
	return read_window(env, info, &size) ? js_number(env, size.ws_row) : NULL;
}

static const struct export table[] = {
	{"isatty", js_isatty},
	{"windowColumns", js_window_columns},
	{"windowRows", js_window_rows},
};

void export_terminal(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
