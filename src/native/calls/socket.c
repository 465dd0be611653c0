/*
 * Sockets of any family. socket(7), unix(7)
 *
 * An address crosses as the bytes the kernel takes (struct sockaddr): which they are is TypeScript's business. A
 * descriptor made here is close-on-exec; whether it blocks is in the type it was made with.
 */
#include "native.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Not in every libc. */
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

#define MOST_DESCRIPTORS 253 /* SCM_MAX_FD of the kernel */
#define MOST_GROUPS 65536    /* NGROUPS_MAX */

/* struct ucred, which musl shows under another macro than glibc. unix(7) */
struct credentials {
	int32_t pid;
	uint32_t uid, gid;
};

/* socket(domain, type, protocol) -> descriptor. socket(2) */
static napi_value js_socket(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int domain, type, protocol;
	if (!read_arguments(env, info, 3, &arguments) || !int_argument(&arguments, 0, &domain) ||
	    !int_argument(&arguments, 1, &type) || !int_argument(&arguments, 2, &protocol))
		return NULL;
	int descriptor = socket(domain, type | SOCK_CLOEXEC, protocol);
	return descriptor < 0 ? throw_errno(env, errno, "socket") : js_number(env, descriptor);
}

/* socketpair(type) -> [one, other], local ones. socketpair(2) */
static napi_value js_socketpair(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int type, pair[2];
	napi_value result;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &type))
		return NULL;
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0)
		return throw_errno(env, errno, "socketpair");
	napi_create_array_with_length(env, 2, &result);
	napi_set_element(env, result, 0, js_number(env, pair[0]));
	napi_set_element(env, result, 1, js_number(env, pair[1]));
	return result;
}

/* The address among the arguments; one that is longer than any is the kernel's to refuse (EINVAL). */
static bool address_argument(struct arguments *arguments, size_t index, struct sockaddr_storage *address,
			     socklen_t *length)
{
	struct bytes bytes;
	if (!bytes_argument(arguments, index, &bytes))
		return false;
	memset(address, 0, sizeof *address);
	*length = (socklen_t)(bytes.length <= sizeof *address ? bytes.length : sizeof *address);
	memcpy(address, bytes.data, *length);
	return true;
}

static napi_value js_address(napi_env env, const void *address, socklen_t length)
{
	napi_value buffer, result;
	void *data;
	if (length > sizeof(struct sockaddr_storage))
		length = sizeof(struct sockaddr_storage);
	if (napi_create_arraybuffer(env, length, &data, &buffer) != napi_ok)
		return NULL;
	memcpy(data, address, length);
	napi_create_typedarray(env, napi_uint8_array, length, buffer, 0, &result);
	return result;
}

/* bind(descriptor, address). bind(2) */
static napi_value js_bind(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct sockaddr_storage address;
	socklen_t length;
	int descriptor;
	if (!read_arguments(env, info, 2, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !address_argument(&arguments, 1, &address, &length))
		return NULL;
	return bind(descriptor, (struct sockaddr *)&address, length) < 0 ? throw_errno(env, errno, "bind")
									 : js_undefined(env);
}

/* listen(descriptor, backlog). listen(2) */
static napi_value js_listen(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor, backlog;
	if (!read_arguments(env, info, 2, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !int_argument(&arguments, 1, &backlog))
		return NULL;
	return listen(descriptor, backlog) < 0 ? throw_errno(env, errno, "listen") : js_undefined(env);
}

/* accept4(descriptor, flags) -> descriptor; -1 when no connection is pending. accept4(2) */
static napi_value js_accept4(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor, flags, accepted;
	if (!read_arguments(env, info, 2, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !int_argument(&arguments, 1, &flags))
		return NULL;
	do
		accepted = accept4(descriptor, NULL, NULL, flags | SOCK_CLOEXEC);
	while (accepted < 0 && errno == EINTR && !take_stop());
	return accepted < 0 && errno != EAGAIN ? throw_errno(env, errno, "accept4") : js_number(env, accepted);
}

/* A connection that the kernel continues to make: waits until it is made, or refused. connect(2), EINPROGRESS */
static int finish_connect(int descriptor, int64_t timeout_ms)
{
	struct pollfd pollfd = {.fd = descriptor, .events = POLLOUT};
	peer_wait_begin();
	int ready = poll_until(&pollfd, 1, timeout_ms), error = ETIMEDOUT;
	peer_wait_end(ready > 0);
	socklen_t length = sizeof error;
	if (ready < 0)
		return -1;
	if (ready > 0 && getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		return -1;
	errno = error;
	return error ? -1 : 0;
}

/*
 * connect(descriptor, address, timeoutMs). A local socket that blocks waits for room in the listener's queue, one
 * that does not answers EAGAIN when there is none. connect(2), unix(7)
 */
static napi_value js_connect(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct sockaddr_storage address;
	socklen_t length;
	int descriptor, result;
	int64_t timeout_ms;
	if (!read_arguments(env, info, 3, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !address_argument(&arguments, 1, &address, &length) || !int64_argument(&arguments, 2, &timeout_ms))
		return NULL;
	struct wait wait;
	wait_begin(&wait, timeout_ms);
	do
		result = wait_allows(&wait) ? connect(descriptor, (struct sockaddr *)&address, length) : -1;
	while (result < 0 && wait_goes_on(&wait));
	wait_end(&wait);
	if (result < 0 && errno == EINPROGRESS)
		result = finish_connect(descriptor, timeout_ms);
	return result < 0 ? throw_errno(env, errno, "connect") : js_undefined(env);
}

/* shutdown(descriptor, how): 0 reading, 1 writing, 2 both. shutdown(2) */
static napi_value js_shutdown(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor, how;
	if (!read_arguments(env, info, 2, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !int_argument(&arguments, 1, &how))
		return NULL;
	return shutdown(descriptor, how) < 0 ? throw_errno(env, errno, "shutdown") : js_undefined(env);
}

/* ioctlSiocoutq(descriptor) -> bytes sent that the peer has not read. unix(7), SIOCOUTQ */
static napi_value js_ioctl_siocoutq(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor, bytes;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &descriptor))
		return NULL;
	return ioctl(descriptor, TIOCOUTQ, &bytes) < 0 ? throw_errno(env, errno, "ioctl") : js_number(env, bytes);
}

/* getsockopt(descriptor, level, option) -> integer. getsockopt(2), socket(7) */
static napi_value js_getsockopt(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor, level, option, value = 0;
	socklen_t length = sizeof value;
	if (!read_arguments(env, info, 3, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !int_argument(&arguments, 1, &level) || !int_argument(&arguments, 2, &option))
		return NULL;
	if (getsockopt(descriptor, level, option, &value, &length) < 0)
		return throw_errno(env, errno, "getsockopt");
	return js_number(env, value);
}

/* setsockopt(descriptor, level, option, integer). setsockopt(2), socket(7) */
static napi_value js_setsockopt(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor, level, option, value;
	if (!read_arguments(env, info, 4, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !int_argument(&arguments, 1, &level) || !int_argument(&arguments, 2, &option) ||
	    !int_argument(&arguments, 3, &value))
		return NULL;
	return setsockopt(descriptor, level, option, &value, sizeof value) < 0 ? throw_errno(env, errno, "setsockopt")
									       : js_undefined(env);
}

/* setsockoptLinger(descriptor, seconds): negative switches it off. setsockopt(2), socket(7), SO_LINGER */
static napi_value js_setsockopt_linger(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor, seconds;
	if (!read_arguments(env, info, 2, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !int_argument(&arguments, 1, &seconds))
		return NULL;
	struct linger value = {.l_onoff = seconds >= 0, .l_linger = seconds};
	return setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &value, sizeof value) < 0
		       ? throw_errno(env, errno, "setsockopt")
		       : js_undefined(env);
}

/* getsockoptPeercred(descriptor) -> [pid, uid, gid], as they were when it connected or listened. unix(7), SO_PEERCRED */
static napi_value js_getsockopt_peercred(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct credentials peer;
	socklen_t length = sizeof peer;
	int descriptor;
	napi_value result;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &descriptor))
		return NULL;
	if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return throw_errno(env, errno, "getsockopt");
	napi_create_array_with_length(env, 3, &result);
	napi_set_element(env, result, 0, js_number(env, peer.pid));
	napi_set_element(env, result, 1, js_number(env, peer.uid));
	napi_set_element(env, result, 2, js_number(env, peer.gid));
	return result;
}

/* getsockoptPeergroups(descriptor) -> its supplementary groups. unix(7), SO_PEERGROUPS */
static napi_value js_getsockopt_peergroups(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor;
	napi_value result;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &descriptor))
		return NULL;
	socklen_t length = MOST_GROUPS * sizeof(uint32_t);
	uint32_t *groups = malloc(length);
	if (!groups)
		return throw_errno(env, ENOMEM, "malloc");
	if (getsockopt(descriptor, SOL_SOCKET, SO_PEERGROUPS, groups, &length) < 0) {
		free(groups);
		return throw_errno(env, errno, "getsockopt");
	}
	size_t count = length / sizeof(uint32_t);
	napi_create_array_with_length(env, count, &result);
	for (size_t i = 0; i < count; i++)
		napi_set_element(env, result, (uint32_t)i, js_number(env, groups[i]));
	free(groups);
	return result;
}

/* getsockoptPeerpidfd(descriptor) -> a descriptor of the peer's process; ENOPROTOOPT before Linux 6.5. unix(7), SO_PEERPIDFD */
static napi_value js_getsockopt_peerpidfd(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor, pidfd = -1;
	socklen_t length = sizeof pidfd;
	if (!read_arguments(env, info, 1, &arguments) || !int_argument(&arguments, 0, &descriptor))
		return NULL;
	if (getsockopt(descriptor, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) < 0)
		return throw_errno(env, errno, "getsockopt");
	return js_number(env, pidfd);
}

/*
 * sendmsg(descriptor, bytes, offset, length, descriptors, flags) -> bytes taken; -1 when it would have to wait.
 * The descriptors go along with the first of the bytes. sendmsg(2), unix(7), SCM_RIGHTS
 */
static napi_value js_sendmsg(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes bytes;
	int64_t offset, size;
	int32_t *descriptors;
	size_t count;
	int descriptor, flags;
	if (!read_arguments(env, info, 6, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !bytes_argument(&arguments, 1, &bytes) || !int64_argument(&arguments, 2, &offset) ||
	    !int64_argument(&arguments, 3, &size) || !int32_array_argument(&arguments, 4, &descriptors, &count) ||
	    !int_argument(&arguments, 5, &flags))
		return NULL;
	if (offset < 0 || size < 0 || (uint64_t)offset + (uint64_t)size > bytes.length)
		return napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "outside the buffer"), NULL;
	if (count > MOST_DESCRIPTORS)
		return throw_errno(env, EINVAL, "sendmsg");
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(MOST_DESCRIPTORS * sizeof(int))];
	struct iovec part = {.iov_base = bytes.data + offset, .iov_len = (size_t)size};
	struct msghdr message;
	memset(&message, 0, sizeof message);
	message.msg_iov = &part;
	message.msg_iovlen = 1;
	if (count > 0) {
		memset(control, 0, sizeof control);
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(header), descriptors, count * sizeof(int));
	}
	ssize_t sent;
	do
		sent = sendmsg(descriptor, &message, flags | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR && !take_stop());
	return sent < 0 && errno != EAGAIN ? throw_errno(env, errno, "sendmsg") : js_number(env, (double)sent);
}

/* What came beside the bytes: each descriptor, and who sent it where that was asked for (SO_PASSCRED). */
static void read_control(napi_env env, struct msghdr *message, napi_value descriptors, napi_value *credentials)
{
	uint32_t count = 0;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET)
			continue;
		size_t length = header->cmsg_len - CMSG_LEN(0);
		if (header->cmsg_type == SCM_RIGHTS) {
			for (size_t at = 0; at + sizeof(int) <= length; at += sizeof(int)) {
				int descriptor;
				memcpy(&descriptor, CMSG_DATA(header) + at, sizeof descriptor);
				napi_set_element(env, descriptors, count++, js_number(env, descriptor));
			}
		} else if (header->cmsg_type == 2 /* SCM_CREDENTIALS */ && length >= sizeof(struct credentials)) {
			struct credentials sender;
			memcpy(&sender, CMSG_DATA(header), sizeof sender);
			napi_create_array_with_length(env, 3, credentials);
			napi_set_element(env, *credentials, 0, js_number(env, sender.pid));
			napi_set_element(env, *credentials, 1, js_number(env, sender.uid));
			napi_set_element(env, *credentials, 2, js_number(env, sender.gid));
		}
	}
}

/*
 * recvmsg(descriptor, bytes, offset, length, flags) -> {count, flags, descriptors, credentials, address}
 *
 * count is -1 when it would have to wait; flags are those of the message (MSG_TRUNC, MSG_CTRUNC); credentials are
 * [pid, uid, gid] where SO_PASSCRED is set, else undefined; address is the sender's, undefined where it has none.
 * recvmsg(2), unix(7)
 */
static napi_value js_recvmsg(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes bytes;
	int64_t offset, size;
	int descriptor, flags;
	if (!read_arguments(env, info, 5, &arguments) || !int_argument(&arguments, 0, &descriptor) ||
	    !bytes_argument(&arguments, 1, &bytes) || !int64_argument(&arguments, 2, &offset) ||
	    !int64_argument(&arguments, 3, &size) || !int_argument(&arguments, 4, &flags))
		return NULL;
	if (offset < 0 || size < 0 || (uint64_t)offset + (uint64_t)size > bytes.length)
		return napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "outside the buffer"), NULL;
	_Alignas(struct cmsghdr)
		uint8_t control[CMSG_SPACE(MOST_DESCRIPTORS * sizeof(int)) + CMSG_SPACE(sizeof(struct credentials))];
	struct sockaddr_storage address;
	struct iovec part = {.iov_base = bytes.data + offset, .iov_len = (size_t)size};
	struct msghdr message;
	ssize_t count;
	do {
		memset(&message, 0, sizeof message);
		message.msg_name = &address;
		message.msg_namelen = sizeof address;
		message.msg_iov = &part;
		message.msg_iovlen = 1;
		message.msg_control = control;
		message.msg_controllen = sizeof control;
		count = recvmsg(descriptor, &message, flags | MSG_CMSG_CLOEXEC);
	} while (count < 0 && errno == EINTR && !take_stop());
	if (count < 0 && errno != EAGAIN)
		return throw_errno(env, errno, "recvmsg");
	napi_value result, descriptors, credentials = js_undefined(env), sender = js_undefined(env);
	napi_create_object(env, &result);
	napi_create_array(env, &descriptors);
	if (count >= 0) {
		read_control(env, &message, descriptors, &credentials);
		if (message.msg_namelen > 0)
			sender = js_address(env, &address, message.msg_namelen);
	}
	napi_set_named_property(env, result, "count", js_number(env, (double)count));
	napi_set_named_property(env, result, "flags", js_number(env, count < 0 ? 0 : message.msg_flags));
	napi_set_named_property(env, result, "descriptors", descriptors);
	napi_set_named_property(env, result, "credentials", credentials);
	napi_set_named_property(env, result, "address", sender);
	return result;
}

static const struct export table[] = {
	{"socket", js_socket},
	{"socketpair", js_socketpair},
	{"bind", js_bind},
	{"listen", js_listen},
	{"accept4", js_accept4},
	{"connect", js_connect},
	{"shutdown", js_shutdown},
	{"ioctlSiocoutq", js_ioctl_siocoutq},
	{"getsockopt", js_getsockopt},
	{"setsockopt", js_setsockopt},
	{"setsockoptLinger", js_setsockopt_linger},
	{"getsockoptPeercred", js_getsockopt_peercred},
	{"getsockoptPeergroups", js_getsockopt_peergroups},
	{"getsockoptPeerpidfd", js_getsockopt_peerpidfd},
	{"sendmsg", js_sendmsg},
	{"recvmsg", js_recvmsg},
};

void export_socket(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
