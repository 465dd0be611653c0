/* Names of users and groups. */
#include "native.h"

#include <stdlib.h>

/* userName(uid) -> text; undefined where no name is known. getpwuid_r(3) */
static napi_value js_user_name(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int64_t uid;
	napi_value name;
	if (!read_arguments(env, info, 1, &arguments) || !int64_argument(&arguments, 0, &uid))
		return NULL;
	char *text = name_of_user((uid_t)uid);
	if (!text)
		return js_undefined(env);
	napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &name);
	free(text);
	return name;
}

static napi_value id_of(napi_env env, napi_callback_info info, int64_t (*find)(const char *name))
{
	struct arguments arguments;
	char *name;
	if (!read_arguments(env, info, 1, &arguments) || !text_argument(&arguments, 0, &name))
		return NULL;
	int64_t id = find(name);
	free(name);
	return id < 0 ? js_undefined(env) : js_number(env, (double)id);
}

/* userId(name) -> number; undefined if no user has that name. getpwnam_r(3) */
static napi_value js_user_id(napi_env env, napi_callback_info info)
{
	return id_of(env, info, id_of_user);
}

/* groupId(name) -> number; undefined if no group has that name. getgrnam_r(3) */
static napi_value js_group_id(napi_env env, napi_callback_info info)
{
	return id_of(env, info, id_of_group);
}

static const struct export table[] = {
	{"userName", js_user_name},
	{"userId", js_user_id},
	{"groupId", js_group_id},
};

void export_users(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
