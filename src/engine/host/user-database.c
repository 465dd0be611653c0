/*
 * Users and groups without NSS, which a static executable cannot load: the files in /etc, and for names that are not in them
 * (LDAP, systemd-homed) the program getent, where there is one.
 */
#include "native.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum field { NAME = 0, NUMBER = 2 }; /* of passwd(5) and of group(5) */

/* The field of a line `name:password:number:…`; NULL where the line has no such field. Changes the line. */
static char *field_of(char *line, enum field field)
{
	for (int i = 0; i < (int)field; i++) {
		line = strchr(line, ':');
		if (!line++)
			return NULL;
	}
	line[strcspn(line, ":\n")] = 0;
	return line;
}

/* The wanted field of the first line that has the key; to be freed. */
static char *look_up(FILE *file, enum field key_field, const char *key, enum field wanted)
{
	char *line = NULL, *found = NULL;
	size_t size = 0;
	while (!found && getline(&line, &size, file) >= 0) {
		char *copy = strdup(line), *field = copy ? field_of(copy, key_field) : NULL;
		if (field && strcmp(field, key) == 0 && (field = field_of(line, wanted)))
			found = strdup(field);
		free(copy);
	}
	free(line);
	return found;
}

static char *look_up_in_file(const char *database, enum field key_field, const char *key, enum field wanted)
{
	char path[32];
	snprintf(path, sizeof path, "/etc/%s", database);
	FILE *file = fopen(path, "re");
	if (!file)
		return NULL;
	char *found = look_up(file, key_field, key, wanted);
	fclose(file);
	return found;
}

/* getent(1), its errors unseen */
static char *look_up_with_getent(const char *database, enum field key_field, const char *key, enum field wanted)
{
	int ends[2];
	pid_t pid;
	char *const words[] = {"getent", (char *)database, (char *)key, NULL}, *found = NULL;
	posix_spawn_file_actions_t actions;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return NULL;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
	bool has_started = posix_spawnp(&pid, "getent", &actions, NULL, words, environ) == 0;
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	FILE *answer = has_started ? fdopen(ends[0], "r") : NULL;
	if (answer) {
		found = look_up(answer, key_field, key, wanted);
		fclose(answer);
	} else
		close(ends[0]);
	if (has_started)
		waitpid(pid, NULL, 0);
	return found;
}

static char *look_up_anywhere(const char *database, enum field key_field, const char *key, enum field wanted)
{
	char *found = look_up_in_file(database, key_field, key, wanted);
	return found ? found : look_up_with_getent(database, key_field, key, wanted);
}

static int64_t id_in(const char *database, const char *name)
{
	char *number = look_up_anywhere(database, NAME, name, NUMBER);
	int64_t id = number ? strtoll(number, NULL, 10) : -1;
	free(number);
	return id;
}

char *name_of_user(uid_t uid)
{
	char key[16];
	snprintf(key, sizeof key, "%u", (unsigned)uid);
	/* The name is for people to read: not worth starting a program for each unknown number. */
	return look_up_in_file("passwd", NUMBER, key, NAME);
}

int64_t id_of_user(const char *name)
{
	return id_in("passwd", name);
}

int64_t id_of_group(const char *name)
{
	return id_in("group", name);
}
