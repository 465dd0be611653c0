/*
 * What the facilities of the native layer share.
 *
 * The layer speaks to the kernel and to nothing else: it knows no option, no default and no wording.
 * A refusal by the kernel becomes a JavaScript error with `code`, `errno` and `syscall` (errno.c).
 */
#ifndef IPC_NATIVE_H
#define IPC_NATIVE_H

#define NAPI_VERSION 8
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One row of a facility's export table. */
struct export {
	const char *name;
	napi_callback function;
};

void export_all(napi_env env, napi_value exports, const struct export *table, size_t count);
#define EXPORT_ALL(env, exports, table) export_all(env, exports, table, sizeof(table) / sizeof((table)[0]))

void export_child(napi_env env, napi_value exports);
void export_file(napi_env env, napi_value exports);
void export_json_calls(napi_env env, napi_value exports);
void export_json_scan(napi_env env, napi_value exports);
void export_mqueue(napi_env env, napi_value exports);
void export_pipe(napi_env env, napi_value exports);
void export_transfer(napi_env env, napi_value exports);
void export_signal(napi_env env, napi_value exports);
void export_proc(napi_env env, napi_value exports);
void export_readiness(napi_env env, napi_value exports);
void export_records(napi_env env, napi_value exports);
void export_ring(napi_env env, napi_value exports);
void export_shm(napi_env env, napi_value exports);
void export_process(napi_env env, napi_value exports);
void export_semaphore(napi_env env, napi_value exports);
void export_semaphore_lines(napi_env env, napi_value exports);
void export_duplex(napi_env env, napi_value exports);
void export_socket(napi_env env, napi_value exports);
void export_sock_diag(napi_env env, napi_value exports);
void export_terminal(napi_env env, napi_value exports);
void export_users(napi_env env, napi_value exports);
void export_wait(napi_env env, napi_value exports);
void export_wait_notice(napi_env env, napi_value exports);
void export_watchdog(napi_env env, napi_value exports);

/* args.c: JavaScript values to C values. Each reader throws a TypeError and answers false when the value does not fit. */
struct arguments {
	napi_env env;
	napi_value value[8];
};

struct bytes {
	uint8_t *data;
	size_t length;
};

bool read_arguments(napi_env env, napi_callback_info info, size_t count, struct arguments *arguments);
bool int_argument(struct arguments *arguments, size_t index, int *result);
bool bool_argument(struct arguments *arguments, size_t index, bool *result);
bool int64_argument(struct arguments *arguments, size_t index, int64_t *result);
bool bytes_argument(struct arguments *arguments, size_t index, struct bytes *result);
bool float64_array_argument(struct arguments *arguments, size_t index, double **data, size_t *length);
bool int32_array_argument(struct arguments *arguments, size_t index, int32_t **data, size_t *length);
/* The text is allocated; free() it. Text with a NUL inside is refused: the kernel would cut it there. */
bool text_argument(struct arguments *arguments, size_t index, char **result);
/* An array of such texts with a NULL behind them; free_texts() it. */
bool texts_argument(struct arguments *arguments, size_t index, char ***result);
void free_texts(char **texts);

/* What make_handle made with this tag, NULL for anything else. */
void *handle_argument(struct arguments *arguments, size_t index, const napi_type_tag *tag);

/* An object that stands for memory of ours; `finish` frees it once the object is no longer referenced, or at once on failure. */
napi_value make_handle(napi_env env, void *data, const napi_type_tag *tag, napi_finalize finish);
napi_value js_number(napi_env env, double number);
napi_value js_undefined(napi_env env);

/* errno.c: kernel errors to JavaScript errors. */
const char *errno_name(int number);
/* Throws; answers NULL so that a function can return it. */
napi_value throw_errno(napi_env env, int number, const char *syscall);
/* The same, with the number of bytes that had gone through and the side that failed ("in" or "out"). */
napi_value throw_transfer_errno(napi_env env, int number, const char *syscall, const char *side, double bytes);

/*
 * wait.c: blocking system calls that end on a deadline or on a caught signal.
 *
 *	struct wait wait;
 *	wait_begin(&wait, timeout_ms);
 *	do result = wait_allows(&wait) ? call() : -1; while (result < 0 && wait_goes_on(&wait));
 *	wait_end(&wait);
 *
 * After the loop errno is the call's own, ETIMEDOUT after the deadline, or EINTR when a caught signal ended it.
 */
struct wait {
	int64_t deadline_ns; /* CLOCK_MONOTONIC; negative: none */
	bool is_over;        /* the deadline or a signal has ended it */
};

void wait_begin(struct wait *wait, int64_t timeout_ms);
bool wait_allows(struct wait *wait);
bool wait_goes_on(struct wait *wait);
void wait_end(struct wait *wait);
int64_t monotonic_ns(void);
/*
 * The signals (bit 0 is signal 1) that were ignored when the process began. Who ignores one on our behalf, as nohup(1) does
 * with SIGHUP, wants it to be so for us and for what we run. 0 under Node, which resets all of them as it starts.
 */
extern uint64_t ignored_at_start;
/* A signal that does no harm where it comes unexpectedly, and is not in this set (bit 0 is signal 1). */
int harmless_signal(uint64_t unfit);
/* Whether a caught signal wants an end; answers so once for each. Sets errno to EINTR. */
bool take_stop(void);

/*
 * Before it sleeps a call is tried again for a while: two sleeping processes need far longer to answer one another.
 * Where both share one processor that is in vain, since the other side cannot run meanwhile; so how often is learnt:
 * half as often after a round in vain, twice as often after one that was not, and now and then a full round to see
 * whether things have changed.
 */
#define MOST_TRIES 100
struct retries {
	int allowed, sleeps;
};
int tries_now(const struct retries *retries);
void learn_from(struct retries *retries, bool was_in_vain);

/* A thread that takes no signal away from the others; false, with errno, where it cannot be started. */
bool start_quiet_thread(void *(*body)(void *));

/*
 * wait-notice.c: around a wait for another process. `is_over` unless the wait goes on in another slice; a call that may be one of
 * many steps between two slices ends only what it has begun.
 */
bool peer_wait_begin(void);
void peer_wait_end(bool is_over);

struct pollfd;
/* ppoll(2) with a timeout in milliseconds (negative: none): -1 with EINTR only when a caught signal ended it. */
int poll_until(struct pollfd *descriptors, size_t count, int64_t timeout_ms);

/* guard.c: whether the work came to its end; false with EFAULT when a page that it touched is not there. */
bool guarded(void (*work)(void *context), void *context);

/* shm.c: bytes into a file that never grows by it. ENXIO where they reach beyond its end, ENOSPC, or worse. mmap(2) */
bool store_within(int descriptor, int64_t offset, const uint8_t *data, size_t length);

/* node-process.c: ends this process at once. _exit(2) */
void leave(int status) __attribute__((noreturn));
/* The same: whether a signal may be taken by a thread that is not ours. */
bool has_other_threads(void);

/* user-database.c: NULL and -1 where no such user or group is known. The text is allocated; free() it. */
char *name_of_user(uid_t uid);
int64_t id_of_user(const char *name);
int64_t id_of_group(const char *name);

/* futex.c: futex(2) between processes. -1 with EAGAIN when the word holds something else, ETIMEDOUT or EINTR. */
int futex_wait(uint32_t *word, uint32_t expected, int64_t timeout_ms);
/* The same until this CLOCK_MONOTONIC time (negative: without limit), and any signal ends it. */
int futex_sleep(uint32_t *word, uint32_t expected, int64_t deadline_ns);
void futex_wake(uint32_t *word, int count);

/*
 * records.c: where the record at the start of a buffer lies. `separator` is 0 to 255, or -1 for a 32-bit
 * big-endian length before it. False when its end is not there yet.
 */
bool find_record(const uint8_t *data, size_t length, int separator, size_t *start, size_t *size, size_t *next);
/* {used, records, problem}: what became of a buffer of records that was to be sent. */
napi_value sent_records(napi_env env, size_t used, double records, const char *problem);

#endif
