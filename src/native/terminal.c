/* Terminals: whether a person looks, and how wide. */
#include "native.h"

#include <errno.h>
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

/* windowColumns(descriptor) -> columns; 0 where there is no such thing. ioctl_tty(2) */
static napi_value js_window_columns(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor;
	struct winsize size;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &descriptor))
		return NULL;
	return js_number(env, ioctl(descriptor, TIOCGWINSZ, &size) < 0 ? 0 : size.ws_col);
}

/* windowRows(descriptor) -> rows; 0 where there is no such thing. ioctl_tty(2) */
static napi_value js_window_rows(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor;
	struct winsize size;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &descriptor))
		return NULL;
	return js_number(env, ioctl(descriptor, TIOCGWINSZ, &size) < 0 ? 0 : size.ws_row);
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
