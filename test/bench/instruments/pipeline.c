/*
 * pipeline FIFO WORD... LINK WORD... [LINK WORD...]... : runs a pipeline and writes to descriptor 3 how long the data
 * took, and of each stage how it ended, what it cost and how much memory it held at most.
 *
 * A LINK is
 *   |  a pipe, as a shell makes it
 *   >  the FIFO: stdout of the left stage, stdin of the right one
 *   @  nothing: the two stages know by themselves how to reach one another
 *
 * Starting programs is not what is measured here. So the first stage is held back before its exec(2) until all the
 * others sleep, and the time runs from its release until the last stage has ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_STAGES 16
#define REPORT 3
/* So many looks in a row, so far apart, have to find everybody asleep. A program that starts does not rest so long. */
#define QUIET_LOOKS 10
#define LOOK_NS 4000000
#define MOST_LOOKS 5000

struct stage {
	char **words;
	char link; /* to the next stage, 0 behind the last */
	pid_t pid;
	int status;
	long long end_ns;
	struct rusage usage;
};

static void fail(const char *what)
{
	fprintf(stderr, "pipeline: %s: %s\n", what, strerror(errno));
	exit(125);
}

static long long now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void put_at(int descriptor, int wanted)
{
	if (descriptor < 0)
		fail("open");
	if (descriptor != wanted && dup2(descriptor, wanted) < 0)
		fail("dup2");
}

static size_t read_stages(char **words, struct stage *stages)
{
	size_t count = 1;
	stages[0].words = words;
	for (char **word = words; *word; word++) {
		if (strlen(*word) != 1 || !strchr("|>@", **word))
			continue;
		if (count == MOST_STAGES) {
			errno = E2BIG;
			fail("stages");
		}
		stages[count - 1].link = **word;
		*word = NULL;
		stages[count++].words = word + 1;
	}
	return count;
}

/* In the child. Opening the FIFO waits for the other side, as a shell's redirection does. */
static void become(const struct stage *stage, char link_before, int input, int output, const char *fifo)
{
	if (link_before == '>')
		input = open(fifo, O_RDONLY | O_CLOEXEC);
	else if (link_before != '|')
		input = open("/dev/null", O_RDONLY | O_CLOEXEC);
	put_at(input, 0);
	if (stage->link == '>')
		output = open(fifo, O_WRONLY | O_CLOEXEC);
	else if (stage->link == '@')
		output = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (stage->link)
		put_at(output, 1);
	execvp(stage->words[0], stage->words);
	fail(stage->words[0]);
}

static void start(struct stage *stages, size_t count, const char *fifo, const int gate[2])
{
	int input = -1;
	for (size_t i = 0; i < count; i++) {
		int link[2] = {-1, -1};
		if (stages[i].link == '|' && pipe2(link, O_CLOEXEC) < 0)
			fail("pipe2");
		stages[i].pid = fork();
		if (stages[i].pid < 0)
			fail("fork");
		if (stages[i].pid == 0) {
			char released;
			close(gate[1]);
			close(link[0]);
			if (i == 0 && read(gate[0], &released, 1) < 0)
				fail("read");
			become(&stages[i], i ? stages[i - 1].link : 0, input, link[1], fifo);
		}
		if (input >= 0)
			close(input);
		close(link[1]);
		input = link[0];
	}
}

/* Whether a stage waits for data. One that has ended before any came has failed, and says why on stderr. */
static bool is_asleep(pid_t pid)
{
	char path[64], text[512] = "";
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	int descriptor = open(path, O_RDONLY | O_CLOEXEC);
	if (descriptor < 0 || read(descriptor, text, sizeof text - 1) < 0)
		fail(path);
	close(descriptor);
	/* The state stands behind the name, which may hold a parenthesis itself. proc(5) */
	const char *state = strrchr(text, ')');
	if (state && state[2] == 'Z') {
		errno = ECHILD;
		fail("a stage ended too early");
	}
	return state && state[2] == 'S';
}

static void wait_until_quiet(const struct stage *stages, size_t count)
{
	const struct timespec pause = {0, LOOK_NS};
	for (int quiet = 0, looks = 0; quiet < QUIET_LOOKS; looks++) {
		bool asleep = true;
		for (size_t i = 1; i < count; i++)
			asleep = asleep && is_asleep(stages[i].pid);
		quiet = asleep ? quiet + 1 : 0;
		if (looks == MOST_LOOKS) {
			errno = ETIMEDOUT;
			fail("waiting for the stages to sleep");
		}
		nanosleep(&pause, NULL);
	}
}

static void wait_for_all(struct stage *stages, size_t count)
{
	for (size_t left = count; left > 0; left--) {
		int status;
		struct rusage usage;
		pid_t pid = wait4(-1, &status, 0, &usage);
		if (pid < 0)
			fail("wait4");
		for (size_t i = 0; i < count; i++) {
			if (stages[i].pid != pid)
				continue;
			stages[i].end_ns = now_ns();
			stages[i].usage = usage;
			stages[i].status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
		}
	}
}

static double milliseconds(struct timeval time)
{
	return (double)time.tv_sec * 1e3 + (double)time.tv_usec / 1e3;
}

static void report(const struct stage *stages, size_t count, long long start_ns)
{
	dprintf(REPORT, "{\"elapsedNs\":%lld,\"stages\":[", stages[count - 1].end_ns - start_ns);
	for (size_t i = 0; i < count; i++) {
		const struct rusage *usage = &stages[i].usage;
		dprintf(REPORT, "%s{\"status\":%d,\"peakKib\":%ld,\"userMs\":%.3f,\"systemMs\":%.3f,\"sleeps\":%ld}",
			i ? "," : "", stages[i].status, usage->ru_maxrss, milliseconds(usage->ru_utime),
			milliseconds(usage->ru_stime), usage->ru_nvcsw);
	}
	dprintf(REPORT, "]}\n");
}

int main(int count, char **words)
{
	struct stage stages[MOST_STAGES] = {0};
	int gate[2];
	if (count < 3) {
		fputs("usage: pipeline FIFO WORD... LINK WORD...\n", stderr);
		return 125;
	}
	fcntl(REPORT, F_SETFD, FD_CLOEXEC);
	if (pipe2(gate, O_CLOEXEC) < 0)
		fail("pipe2");
	size_t stage_count = read_stages(words + 2, stages);
	start(stages, stage_count, words[1], gate);
	close(gate[0]);
	wait_until_quiet(stages, stage_count);
	long long start_ns = now_ns();
	close(gate[1]);
	wait_for_all(stages, stage_count);
	report(stages, stage_count, start_ns);
	return 0;
}
