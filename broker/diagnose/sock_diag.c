/* sock_diag.c - see sock_diag.h. */
#include "broker/diagnose/sock_diag.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdalign.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST_PART 8192 /* bytes of a list that are read at once */
#define STATE(name) (1u << TCP_##name)
/* In which a process can have a connection: no other part of the kernel's tables is walked. */
#define STATES_OF_CONNECTIONS                                                                      \
    (STATE(ESTABLISHED) | STATE(SYN_RECV) | STATE(FIN_WAIT1) | STATE(FIN_WAIT2) |                  \
     STATE(CLOSE_WAIT) | STATE(LAST_ACK) | STATE(CLOSING))

struct question {
    struct nlmsghdr head;
    union { /* the kernel takes one that is longer */
        struct inet_diag_req_v2 request;
        struct unix_diag_req unix_request;
    };
};

static void read_end(const struct sockaddr_storage *end, uint16_t *port, uint8_t host[16])
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)end;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)end;

    *port = in->sin_port; /* in the same place in both */
    if (end->ss_family == AF_INET)
        memcpy(host, &in->sin_addr, sizeof in->sin_addr);
    else
        memcpy(host, &in6->sin6_addr, sizeof in6->sin6_addr);
}

/* The kernel finds a connection by its device as well: one of a link-local address has one, and one
 * of a listener with SO_BINDTODEVICE. False: the index has no room. */
static bool read_device(int fd, uint16_t *device)
{
    int index = 0;
    socklen_t len = sizeof index;

    if (getsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index, &len) < 0)
        index = 0; /* before Linux 5.0 */
    *device = (uint16_t)index;
    return index == *device;
}

bool sock_diag_identify(int fd, struct sock_diag_key *key)
{
    struct sockaddr_storage local = {0}, peer = {0};
    socklen_t local_len = sizeof local, peer_len = sizeof peer, len = sizeof key->cookie;

    memset(key, 0, sizeof *key);
    if (getsockname(fd, (struct sockaddr *)&local, &local_len) < 0 ||
        getpeername(fd, (struct sockaddr *)&peer, &peer_len) < 0 ||
        (local.ss_family != AF_INET && local.ss_family != AF_INET6) ||
        getsockopt(fd, SOL_SOCKET, SO_COOKIE, &key->cookie, &len) < 0 ||
        !read_device(fd, &key->device))
        return false;
    key->family = local.ss_family;
    read_end(&local, &key->local_port, key->local);
    read_end(&peer, &key->peer_port, key->peer);
    return true;
}

/* The socket is kept. Where its module is missing, or a container forbids it, -1. */
static int open_diag(void)
{
    static int fd = -1;
    static bool failed;

    if (fd < 0 && !failed)
        fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
    failed = fd < 0;
    return fd;
}

/* Each question has a number, so that what is left of a list that was not read to its end is not
 * taken for an answer. */
static bool send_question(int fd, struct question *question)
{
    static uint32_t number;
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

    question->head.nlmsg_len = sizeof *question;
    question->head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    question->head.nlmsg_flags |= NLM_F_REQUEST;
    question->head.nlmsg_seq = ++number;
    return fd >= 0 && sendto(fd, question, sizeof *question, 0, (const struct sockaddr *)&kernel,
                             sizeof kernel) >= 0;
}

/* The length of the next part of its answer, which is there already; -1: there is none. */
static ssize_t receive_answer(int fd, const struct question *question, void *bytes, size_t size)
{
    const struct nlmsghdr *head = bytes;
    ssize_t len;

    do
        len = recv(fd, bytes, size, 0);
    while (len >= (ssize_t)sizeof *head && head->nlmsg_seq != question->head.nlmsg_seq);
    return len;
}

/* NULL: it is no connection. */
static const struct inet_diag_msg *read_connection(const struct nlmsghdr *head)
{
    return head->nlmsg_type == SOCK_DIAG_BY_FAMILY &&
                   head->nlmsg_len >= NLMSG_LENGTH(sizeof(struct inet_diag_msg))
               ? NLMSG_DATA(head)
               : NULL;
}

static uint64_t read_cookie(const struct inet_diag_msg *found)
{
    return found->id.idiag_cookie[0] | (uint64_t)found->id.idiag_cookie[1] << 32;
}

/* No inode: no process has it, the kernel only brings it to its end. */
static enum sock_diag_answer read_answer(const void *bytes, ssize_t len, uint64_t *cookie)
{
    const struct nlmsghdr *head = bytes;

    if (!NLMSG_OK(head, len))
        return SOCK_DIAG_UNKNOWN;
    const struct inet_diag_msg *found = read_connection(head);
    if (found && found->idiag_state == TCP_LISTEN)
        return SOCK_DIAG_CLOSED; /* the kernel takes that where the cookie does not matter */
    if (found) {
        *cookie = read_cookie(found);
        return found->idiag_inode ? SOCK_DIAG_OPEN : SOCK_DIAG_CLOSED;
    }
    if (head->nlmsg_type != NLMSG_ERROR || len < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)))
        return SOCK_DIAG_UNKNOWN;
    const struct nlmsgerr *error = NLMSG_DATA(head);
    return error->error == -ENOENT || error->error == -ESTALE ? SOCK_DIAG_CLOSED
                                                              : SOCK_DIAG_UNKNOWN;
}

enum sock_diag_answer sock_diag_find(struct sock_diag_key *key)
{
    uint64_t cookie = key->cookie ? key->cookie : UINT64_MAX; /* any: twice INET_DIAG_NOCOOKIE */
    struct question question = {
        .request = {.sdiag_family = (uint8_t)key->family,
                    .sdiag_protocol = IPPROTO_TCP,
                    .idiag_states = UINT32_MAX,
                    .id = {.idiag_sport = key->local_port,
                           .idiag_dport = key->peer_port,
                           .idiag_if = key->device,
                           .idiag_cookie = {(uint32_t)cookie, (uint32_t)(cookie >> 32)}}},
    };
    alignas(struct nlmsghdr) char answer[1024];
    int fd = open_diag();

    memcpy(question.request.id.idiag_src, key->local, sizeof key->local);
    memcpy(question.request.id.idiag_dst, key->peer, sizeof key->peer);
    if (!send_question(fd, &question))
        return SOCK_DIAG_UNKNOWN;
    return read_answer(answer, receive_answer(fd, &question, answer, sizeof answer), &key->cookie);
}

enum sock_diag_answer sock_diag_ask(const struct sock_diag_key *key)
{
    struct sock_diag_key copy = *key;

    return sock_diag_find(&copy);
}

enum part { PART_MORE, PART_LAST, PART_BAD };

static enum part read_part(const void *bytes, ssize_t len, void (*on_open)(uint64_t cookie))
{
    const struct nlmsghdr *head;

    if (len <= 0)
        return PART_BAD;
    for (head = bytes; NLMSG_OK(head, len); head = NLMSG_NEXT(head, len)) {
        const struct inet_diag_msg *found = read_connection(head);
        if (head->nlmsg_type == NLMSG_DONE)
            return PART_LAST;
        if (!found)
            return PART_BAD;
        if (found->idiag_inode)
            on_open(read_cookie(found));
    }
    return PART_MORE;
}

bool sock_diag_list(uint16_t family, uint16_t local_port, void (*on_open)(uint64_t cookie))
{
    struct question question = {
        .head = {.nlmsg_flags = NLM_F_DUMP},
        .request = {.sdiag_family = (uint8_t)family,
                    .sdiag_protocol = IPPROTO_TCP,
                    .idiag_states = STATES_OF_CONNECTIONS,
                    .id = {.idiag_sport = local_port}},
    };
    alignas(struct nlmsghdr) char bytes[LIST_PART];
    int fd = open_diag();
    enum part part = PART_MORE;

    if (!send_question(fd, &question))
        return false;
    while (part == PART_MORE)
        part = read_part(bytes, receive_answer(fd, &question, bytes, sizeof bytes), on_open);
    return part == PART_LAST;
}

/* --- AF_UNIX --- */

/* An attribute of the socket with this inode. False: the kernel tells none. */
static bool ask_unix(ino_t inode, uint32_t show, int attribute, void *value, size_t size)
{
    struct question question = {
        .unix_request = {.sdiag_family = AF_UNIX,
                         .udiag_states = UINT32_MAX,
                         .udiag_ino = (uint32_t)inode,
                         .udiag_show = show,
                         .udiag_cookie = {UINT32_MAX, UINT32_MAX}}, /* any */
    };
    alignas(struct nlmsghdr) char answer[1024];
    const struct nlmsghdr *head = (const struct nlmsghdr *)(const void *)answer;
    int fd = open_diag();

    if (!send_question(fd, &question))
        return false;
    ssize_t len = receive_answer(fd, &question, answer, sizeof answer);
    if (!NLMSG_OK(head, len) || head->nlmsg_type != SOCK_DIAG_BY_FAMILY)
        return false;
    size_t at = NLMSG_SPACE(sizeof(struct unix_diag_msg));
    size_t rest = head->nlmsg_len > at ? head->nlmsg_len - at : 0;
    for (const struct rtattr *found = (const struct rtattr *)(const void *)(answer + at);
         RTA_OK(found, rest); found = RTA_NEXT(found, rest))
        if (found->rta_type == attribute && RTA_PAYLOAD(found) >= size) {
            memcpy(value, RTA_DATA(found), size);
            return true;
        }
    return false;
}

/* As poll(2) of the sender does: unix_writable() in the kernel's net/unix/af_unix.c. */
bool sock_diag_is_sender_full(int fd)
{
    struct stat info;
    uint32_t peer = 0;
    uint32_t memory[SK_MEMINFO_SNDBUF + 1] = {0};

    return fstat(fd, &info) == 0 &&
           ask_unix(info.st_ino, UDIAG_SHOW_PEER, UNIX_DIAG_PEER, &peer, sizeof peer) &&
           ask_unix(peer, UDIAG_SHOW_MEMINFO, UNIX_DIAG_MEMINFO, memory, sizeof memory) &&
           memory[SK_MEMINFO_WMEM_ALLOC] >= memory[SK_MEMINFO_SNDBUF] / 4;
}
