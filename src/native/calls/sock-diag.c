/* The kernel's own list of local sockets. sock_diag(7), netlink(7) */
#include "native.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* What <linux/netlink.h>, <linux/sock_diag.h> and <linux/unix_diag.h> have: not every libc comes with the kernel's headers. */
#define SOCK_DIAG_PROTOCOL 4 /* NETLINK_SOCK_DIAG */
#define REQUEST_BY_FAMILY 20 /* SOCK_DIAG_BY_FAMILY */
#define REQUEST_DUMP 0x301   /* NLM_F_REQUEST | NLM_F_DUMP */
#define IS_ERROR 2           /* NLMSG_ERROR */
#define IS_DONE 3            /* NLMSG_DONE */
#define SHOW 0x57            /* UDIAG_SHOW_NAME, _VFS, _PEER, _RQLEN, and _UID since Linux 5.3 */

enum attribute { NAME, VFS, PEER, ICONS, RQLEN, MEMINFO, SHUTDOWN, UID };

struct message {
	uint32_t length;
	uint16_t type, flags;
	uint32_t sequence, port;
};

struct request {
	struct message header;
	uint8_t family, protocol;
	uint16_t padding;
	uint32_t states, inode, show, cookie[2];
};

/* struct unix_diag_msg */
struct entry {
	uint8_t family, type, state, padding;
	uint32_t inode, cookie[2];
};

/* struct nlattr */
struct attribute_header {
	uint16_t length, type;
};

/* The kernel's list of local sockets, one message after the other. */
struct unix_list {
	napi_env env;
	napi_value rows;
	uint32_t count;
};

static void put(napi_env env, napi_value object, const char *key, double number)
{
	napi_set_named_property(env, object, key, js_number(env, number));
}

static void add_unix_socket(struct unix_list *list, const struct entry *socket, size_t length)
{
	napi_env env = list->env;
	napi_value row, name;
	napi_create_object(env, &row);
	put(env, row, "inode", socket->inode);
	put(env, row, "type", socket->type);
	put(env, row, "state", socket->state);
	const uint8_t *attributes = (const uint8_t *)(socket + 1);
	for (size_t at = 0; at + sizeof(struct attribute_header) <= length;) {
		struct attribute_header header;
		memcpy(&header, attributes + at, sizeof header);
		if (header.length < sizeof header || at + header.length > length)
			break;
		const uint8_t *data = attributes + at + sizeof header;
		size_t size = header.length - sizeof header;
		uint32_t numbers[2] = {0, 0};
		memcpy(numbers, data, size < sizeof numbers ? size : sizeof numbers);
		switch (header.type) {
		case NAME:
			if (napi_create_string_latin1(env, (const char *)data, size, &name) == napi_ok)
				napi_set_named_property(env, row, "name", name);
			break;
		case VFS:
			/* struct unix_diag_vfs; the device as the kernel writes it: 12 bits and 20. */
			put(env, row, "fileInode", numbers[0]);
			put(env, row, "fileDevice", (double)makedev(numbers[1] >> 20, numbers[1] & 0xfffff));
			break;
		case PEER:
			put(env, row, "peer", numbers[0]);
			break;
		case RQLEN:
			put(env, row, "receiveQueue", numbers[0]);
			put(env, row, "sendQueue", numbers[1]);
			break;
		case UID:
			put(env, row, "uid", numbers[0]);
			break;
		}
		at += (header.length + 3U) & ~3U;
	}
	napi_set_element(env, list->rows, list->count++, row);
}

/* Returns 1 when the list continues, 0 at its end, -1 with errno. */
static int read_unix_sockets(struct unix_list *list, int netlink, uint8_t *buffer, size_t size)
{
	ssize_t length;
	do
		length = recv(netlink, buffer, size, 0);
	while (length < 0 && errno == EINTR);
	if (length <= 0)
		return -1;
	for (size_t at = 0; at + sizeof(struct message) <= (size_t)length;) {
		const struct message *header = (const struct message *)(buffer + at);
		if (header->length < sizeof *header || at + header->length > (size_t)length)
			break;
		if (header->type == IS_DONE)
			return 0;
		if (header->type == IS_ERROR) {
			errno = -*(const int32_t *)(header + 1);
			return -1;
		}
		if (header->length >= sizeof *header + sizeof(struct entry))
			add_unix_socket(list, (const struct entry *)(header + 1),
					header->length - sizeof *header - sizeof(struct entry));
		at += (header->length + 3U) & ~3U;
	}
	return 1;
}

/*
 * sockDiagUnix() -> a row for each local socket of this network namespace: inode (of the socket), type, state
 * (1 connected, 7 not, 10 listening), and where there are such: name (Latin-1, the first character of an abstract one is
 * NUL), fileDevice and fileInode (of the socket file), peer (inode of the other end), receiveQueue and sendQueue (of a
 * listener: waiting, and the most that may), uid. sock_diag(7)
 */
static napi_value js_sock_diag_unix(napi_env env, napi_callback_info info)
{
	(void)info;
	enum { SIZE = 1 << 17 };
	struct request request;
	memset(&request, 0, sizeof request);
	request.header.length = sizeof request;
	request.header.type = REQUEST_BY_FAMILY;
	request.header.flags = REQUEST_DUMP;
	request.family = AF_UNIX;
	request.states = ~0U;
	request.show = SHOW;
	int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, SOCK_DIAG_PROTOCOL);
	if (netlink < 0)
		return throw_errno(env, errno, "socket");
	uint8_t *buffer = malloc(SIZE);
	struct unix_list list = {.env = env};
	napi_create_array(env, &list.rows);
	int state = buffer && send(netlink, &request, sizeof request, 0) == sizeof request ? 1 : -1;
	while (state == 1)
		state = read_unix_sockets(&list, netlink, buffer, SIZE);
	int saved = errno;
	free(buffer);
	close(netlink);
	return state < 0 ? throw_errno(env, saved, "sock_diag") : list.rows;
}

static const struct export table[] = {
	{"sockDiagUnix", js_sock_diag_unix},
};

void export_sock_diag(napi_env env, napi_value exports)
{
	EXPORT_ALL(env, exports, table);
}
