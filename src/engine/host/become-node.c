/* Some verbs need what only Node has: the executable then becomes Node, before anything has been opened or read. */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define START "start.js" /* beside the executable: src/build/start.cjs */

static unsigned closed_streams; /* bit 0 is stdin */

void look_for_closed_streams(void)
{
	for (int descriptor = 0; descriptor <= 2; descriptor++)
		if (fcntl(descriptor, F_GETFD) < 0 && errno == EBADF)
			closed_streams |= 1U << descriptor;
}

bool was_closed(int descriptor)
{
	return closed_streams >> descriptor & 1;
}

/* `ipc-sem`, or `ipc-sem:02` where stdin and stderr were closed: Node opens them on /dev/null, start.cjs closes them again. */
static void name_for_node(char *name, const char *command)
{
	name = stpncpy(name, command, NAME_MAX);
	if (closed_streams)
		*name++ = ':';
	for (int descriptor = 0; descriptor <= 2; descriptor++)
		if (was_closed(descriptor))
			*name++ = (char)('0' + descriptor);
	*name = 0;
}

/* What Node does with the dispositions it finds, except that it forgets what was ignored. */
void take_signals(void)
{
	struct sigaction found, ignore = {.sa_handler = SIG_IGN};
	for (int number = 1; number <= 64; number++)
		if (sigaction(number, NULL, &found) == 0 && found.sa_handler == SIG_IGN)
			ignored_at_start |= (uint64_t)1 << (number - 1);
	/* A write to a pipe without a reader, or to a file that is too large, is an error that can be handled. */
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGXFSZ, &ignore, NULL);
}

static void restore_signals(void)
{
	static const int ours[] = {SIGPIPE, SIGXFSZ};
	const struct sigaction usual = {.sa_handler = SIG_DFL};
	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
		if (!(ignored_at_start >> (ours[i] - 1) & 1))
			sigaction(ours[i], &usual, NULL);
}

/* Where this executable lies, links resolved; without /proc, from the path it was started with. getauxval(3) */
static bool find_executable(char *path)
{
	return realpath("/proc/self/exe", path) || realpath((const char *)getauxval(AT_EXECFN), path);
}

/* As execvp(3) looks for it. */
static bool find_node(char *path)
{
	const char *folders = getenv("PATH");
	for (const char *at = folders ? folders : "/usr/local/bin:/usr/bin:/bin"; *at;) {
		size_t length = strcspn(at, ":");
		if (length + sizeof "/node" <= PATH_MAX) {
			memcpy(path, at, length);
			strcpy(path + length, length > 0 ? "/node" : "./node");
			if (access(path, X_OK) == 0)
				return true;
		}
		at += length + (at[length] == ':');
	}
	return false;
}

const char *become_node(const char *command, int argc, char **argv)
{
	char node[PATH_MAX], script[PATH_MAX + sizeof START], name[NAME_MAX + sizeof ":012"];
	if (!find_executable(script))
		return "this executable does not know its own path (mount /proc)";
	strcpy(strrchr(script, '/') + 1, START);
	if (access(script, R_OK) != 0)
		return "this executable is not in the folder of its package (install ipc-tools with npm)";
	if (!find_node(node))
		return "'node' is not in PATH (install Node 20 or later)";
	char **words = calloc((size_t)argc + 3, sizeof *words);
	if (!words)
		return "out of memory";
	words[0] = node;
	words[1] = script;
	name_for_node(name, command);
	words[2] = name;
	for (int i = 1; i < argc; i++)
		words[i + 2] = argv[i];
	restore_signals();
	execv(node, words);
	free(words);
	return strerror(errno);
}
