/* Users and groups as libc finds them, by nsswitch.conf(5). The executable has another file in the place of this one. */
#include "native.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

char *name_of_user(uid_t uid)
{
	struct passwd entry, *found;
	char buffer[4096];
	return getpwuid_r(uid, &entry, buffer, sizeof buffer, &found) == 0 && found ? strdup(entry.pw_name) : NULL;
}

int64_t id_of_user(const char *name)
{
	struct passwd entry, *found;
	char buffer[4096];
	return getpwnam_r(name, &entry, buffer, sizeof buffer, &found) == 0 && found ? (int64_t)entry.pw_uid : -1;
}

int64_t id_of_group(const char *name)
{
	enum { SIZE = 1 << 20 }; /* a group lists its members */
	struct group entry, *found;
	char *buffer = malloc(SIZE);
	int64_t id = buffer && getgrnam_r(name, &entry, buffer, SIZE, &found) == 0 && found ? (int64_t)entry.gr_gid : -1;
	free(buffer);
	return id;
}
