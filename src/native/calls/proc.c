/* Which processes have a file open, from /proc: thousands of look-ups for one answer, so they are made here. proc(5) */
#include "native.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* The kernel's struct statx as far as it is used here: not every libc has it. statx(2) */
struct identity {
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, spare;
	uint64_t ino, size, blocks, attributes_mask;
	uint64_t times[8];
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t rest[14];
};

#define DONT_SYNC 0x4000 /* AT_STATX_DONT_SYNC: a file server that is down must not hold us up */
#define WANT_INO 0x100

struct search {
	napi_env env;
	napi_value found;
	uint32_t length;
	double *files; /* device and inode, in turn */
	size_t count;
	int failure; /* why there is no answer: an errno */
};

static void add(struct search *search, double number)
{
	napi_set_element(search->env, search->found, search->length++, js_number(search->env, number));
}

/*
 * What has ended, or must not be seen, is left out. But where we have no descriptor or memory to look with, nothing is known of the
 * process, and an answer without it would be wrong.
 */
static void note_failure(struct search *search, int number)
{
	if (number == EMFILE || number == ENFILE || number == ENOMEM)
		search->failure = number;
}

static size_t read_small(int folder, const char *path, char *text, size_t size)
{
	int descriptor = openat(folder, path, O_RDONLY | O_CLOEXEC);
	if (descriptor < 0)
		return 0;
	ssize_t length = read(descriptor, text, size - 1);
	close(descriptor);
	text[length > 0 ? length : 0] = 0;
	return length > 0 ? (size_t)length : 0;
}

/* The index of the file a descriptor stands for, -1 for none that is looked for. */
static int index_of(const struct search *search, int folder, const char *name)
{
	struct identity identity;
	memset(&identity, 0, sizeof identity);
	if (syscall(SYS_statx, folder, name, DONT_SYNC, WANT_INO, &identity) != 0)
		return -1;
	double device = (double)makedev(identity.dev_major, identity.dev_minor), inode = (double)identity.ino;
	for (size_t i = 0; i < search->count; i++)
		if (search->files[2 * i] == device && search->files[2 * i + 1] == inode)
			return (int)i;
	return -1;
}

/* As the kernel writes it. getdents64(2) */
struct entry {
	uint64_t inode;
	int64_t offset;
	unsigned short size;
	unsigned char type;
	char name[];
};

/*
 * One process among the entries of /proc. Most have nothing to find, so there are few calls for each: readdir(3) would make five
 * more. What else is to be known is read by way of its open folder, and so of the same process.
 */
static void search_process(struct search *search, int processes, const char *pid)
{
	char path[64], text[512];
	_Alignas(struct entry) char entries[4096];
	bool is_empty = true;
	snprintf(path, sizeof path, "%.20s/fd", pid);
	int folder = openat(processes, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0) {
		note_failure(search, errno);
		return;
	}
	for (long length; (length = syscall(SYS_getdents64, folder, entries, sizeof entries)) > 0;)
		for (long at = 0; at < length; at += ((struct entry *)(entries + at))->size) {
			const char *name = ((struct entry *)(entries + at))->name;
			if (!isdigit((unsigned char)name[0]))
				continue;
			is_empty = false;
			int index = index_of(search, folder, name);
			if (index < 0)
				continue;
			snprintf(path, sizeof path, "../fdinfo/%.20s", name);
			errno = 0;
			if (!read_small(folder, path, text, sizeof text)) {
				note_failure(search, errno);
				continue;
			}
			const char *flags = strstr(text, "flags:");
			add(search, atoi(pid));
			add(search, atoi(name));
			add(search, flags ? (double)strtol(flags + 6, NULL, 8) : 0);
			add(search, index);
		}
	/* A kernel thread has none; who waits for the other side of a FIFO sleeps in a function named after that. */
	if (!is_empty && read_small(folder, "../wchan", text, sizeof text) &&
	    (strstr(text, "fifo") || strstr(text, "partner"))) {
		add(search, atoi(pid));
		add(search, -1);
		add(search, 0);
		add(search, -1);
	}
	close(folder);
}

/*
 * findOpenFiles(files) -> numbers, four for each: pid, descriptor, its flags, index of the file
 *
 * `files` holds device and inode in turn. A process that sleeps in the opening of some FIFO is there with descriptor
 * and index -1. What we may not see is left out. Fails with EMFILE, ENFILE or ENOMEM where it could not look. proc(5)
 */
static napi_value js_find_open_files(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct search search = {.env = env};
	size_t length;
	if (!read_arguments(env, info, 1, &arguments) ||
	    !float64_array_argument(&arguments, 0, &search.files, &length))
		return NULL;
	search.count = length / 2;
	DIR *processes = opendir("/proc");
	if (!processes)
		return throw_errno(env, errno, "opendir");
	napi_create_array(env, &search.found);
	for (struct dirent *entry; (entry = readdir(processes));) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		search_process(&search, dirfd(processes), entry->d_name);
	}
	closedir(processes);
	return search.failure ? throw_errno(env, search.failure, "open") : search.found;
}

/* The file of one line of /proc/PID/maps: `7f…-7f… rw-s 00000000 00:19 1234   /dev/shm/x`. */
static int index_of_line(const struct search *search, const char *line)
{
	unsigned major_number, minor_number;
	unsigned long long inode;
	if (sscanf(line, "%*s %*s %*s %x:%x %llu", &major_number, &minor_number, &inode) != 3 || inode == 0)
		return -1;
	double device = (double)makedev(major_number, minor_number);
	for (size_t i = 0; i < search->count; i++)
		if (search->files[2 * i] == device && search->files[2 * i + 1] == (double)inode)
			return (int)i;
	return -1;
}

static void search_maps(struct search *search, FILE *maps, int pid, bool *has)
{
	char *line = NULL;
	size_t size = 0;
	memset(has, 0, search->count * sizeof *has);
	errno = 0;
	while (getline(&line, &size, maps) > 0) {
		int index = index_of_line(search, line);
		if (index < 0 || has[index])
			continue;
		has[index] = true;
		add(search, pid);
		add(search, index);
	}
	note_failure(search, errno);
	free(line);
}

#define KERNEL_THREAD 0x00200000 /* PF_KTHREAD in <linux/sched.h> */

/*
 * A thread of the kernel has no memory of its own, and what has ended has none any more: field 3 and 9 of the line. With
 * hidepid=1 not even that line may be read: then it has to be taken for one that has.
 */
static bool has_memory(int processes, const char *name)
{
	char path[64], text[512], state;
	unsigned flags;
	snprintf(path, sizeof path, "%.20s/stat", name);
	errno = 0;
	if (!read_small(processes, path, text, sizeof text))
		return errno == EACCES || errno == EPERM;
	const char *rest = strrchr(text, ')');
	if (!rest || sscanf(rest + 1, " %c %*d %*d %*d %*d %*d %u", &state, &flags) != 2)
		return true;
	return state != 'Z' && state != 'X' && !(flags & KERNEL_THREAD);
}

/*
 * findMappings(files) -> numbers, two for each: pid, index of the file
 *
 * Who has these files, device and inode in turn, in its memory, with a descriptor or without. A process whose memory we
 * may not see is there with index -1. Fails like findOpenFiles. proc(5)
 */
static napi_value js_find_mappings(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct search search = {.env = env};
	size_t length;
	if (!read_arguments(env, info, 1, &arguments) ||
	    !float64_array_argument(&arguments, 0, &search.files, &length))
		return NULL;
	search.count = length / 2;
	bool *has = calloc(search.count + 1, sizeof *has);
	DIR *processes = has ? opendir("/proc") : NULL;
	if (!processes) {
		int number = errno;
		free(has);
		return throw_errno(env, number, "opendir");
	}
	napi_create_array(env, &search.found);
	for (struct dirent *entry; (entry = readdir(processes));) {
		char path[64];
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof path, "/proc/%.20s/maps", entry->d_name);
		FILE *maps = fopen(path, "re");
		int number = maps ? 0 : errno;
		if (maps) {
			search_maps(&search, maps, atoi(entry->d_name), has);
			fclose(maps);
		} else if ((number == EACCES || number == EPERM) && has_memory(dirfd(processes), entry->d_name)) {
			add(&search, atoi(entry->d_name));
			add(&search, -1);
		} else {
			note_failure(&search, number);
		}
	}
	closedir(processes);
	free(has);
	return search.failure ? throw_errno(env, search.failure, "open") : search.found;
}

static const struct export table[] = {
	{"findOpenFiles", js_find_open_files},
	{"findMappings", js_find_mappings},
};

void export_proc(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
