/* Terminals: whether a person looks, how wide, and how keys are read. */
#include "native.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
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

/* The terminal's size; false if a TypeError has been thrown. All zero if there is no window. */
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

/* windowColumns(descriptor) -> columns; 0 if there are none. ioctl_tty(2) */
static napi_value js_window_columns(napi_env env, napi_callback_info info)
{
	struct winsize size;
	return read_window(env, info, &size) ? js_number(env, size.ws_col) : NULL;
}

/* windowRows(descriptor) -> rows; 0 if there are none. ioctl_tty(2) */
static napi_value js_window_rows(napi_env env, napi_callback_info info)
{
	struct winsize size;
	return read_window(env, info, &size) ? js_number(env, size.ws_row) : NULL;
}

/* tcgetpgrp(descriptor) -> the process group in the foreground; -1 where it is not our terminal. tcgetpgrp(3) */
static napi_value js_tcgetpgrp(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &descriptor))
		return NULL;
	return js_number(env, tcgetpgrp(descriptor));
}

/* tcsetpgrp(descriptor, group): into the foreground with it. tcsetpgrp(3) */
static napi_value js_tcsetpgrp(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor, group;
	if (!read_arguments(env, info, 2, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !int_argument(&arguments, 1, &group))
		return NULL;
	return tcsetpgrp(descriptor, group) < 0 ? throw_errno(env, errno, "tcsetpgrp") : js_undefined(env);
}

/* The descriptor and the bytes of a struct termios; false if an error has been thrown. */
static bool read_settings(napi_env env, napi_callback_info info, int *descriptor, struct bytes *settings)
{
	struct arguments arguments;
	if (!read_arguments(env, info, 2, &arguments) || !int_argument(&arguments, 0, descriptor) ||
	    !bytes_argument(&arguments, 1, settings))
		return false;
	if (settings->length == sizeof(struct termios))
		return true;
	napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "the bytes of a struct termios are expected");
	return false;
}

/* tcgetattr(descriptor, settings): fills the bytes of a struct termios. tcgetattr(3) */
static napi_value js_tcgetattr(napi_env env, napi_callback_info info)
{
	int descriptor;
	struct bytes settings;
	struct termios now;
	if (!read_settings(env, info, &descriptor, &settings))
		return NULL;
	if (tcgetattr(descriptor, &now) < 0)
		return throw_errno(env, errno, "tcgetattr");
	memcpy(settings.data, &now, sizeof now);
	return js_undefined(env);
}

/* tcsetattr(descriptor, settings): at once. tcsetattr(3) */
static napi_value js_tcsetattr(napi_env env, napi_callback_info info)
{
	int descriptor;
	struct bytes settings;
	struct termios wanted;
	if (!read_settings(env, info, &descriptor, &settings))
		return NULL;
	memcpy(&wanted, settings.data, sizeof wanted);
	return tcsetattr(descriptor, TCSANOW, &wanted) < 0 ? throw_errno(env, errno, "tcsetattr") : js_undefined(env);
}

static const struct export table[] = {
	{"isatty", js_isatty},
	{"windowColumns", js_window_columns},
	{"windowRows", js_window_rows},
	{"tcgetpgrp", js_tcgetpgrp},
	{"tcsetpgrp", js_tcsetpgrp},
	{"tcgetattr", js_tcgetattr},
	{"tcsetattr", js_tcsetattr},
};

void export_terminal(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
