/* sock_diag.c - see sock_diag.h. */
#include "broker/diagnose/sock_diag.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdalign.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct question {
    struct nlmsghdr head;
    struct inet_diag_req_v2 request;
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

bool sock_diag_identify_as(int fd, const struct sockaddr_storage *local,
                           const struct sockaddr_storage *peer, struct sock_diag_key *key)
{
    socklen_t len = sizeof key->cookie;

    memset(key, 0, sizeof *key);
    if ((local->ss_family != AF_INET && local->ss_family != AF_INET6) ||
        getsockopt(fd, SOL_SOCKET, SO_COOKIE, &key->cookie, &len) < 0)
        return false;
    key->family = local->ss_family;
    read_end(local, &key->local_port, key->local);
    read_end(peer, &key->peer_port, key->peer);
    return true;
}

bool sock_diag_identify(int fd, struct sock_diag_key *key)
{
    struct sockaddr_storage local = {0}, peer = {0};
    socklen_t local_len = sizeof local, peer_len = sizeof peer;

    return getsockname(fd, (struct sockaddr *)&local, &local_len) == 0 &&
           getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0 &&
           sock_diag_identify_as(fd, &local, &peer, key);
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

/* No inode: no process has it, the kernel only brings it to its end. */
static enum sock_diag_answer read_answer(const void *bytes, ssize_t len)
{
    const struct nlmsghdr *head = bytes;

    if (len < (ssize_t)sizeof *head)
        return SOCK_DIAG_UNKNOWN;
    if (head->nlmsg_type == SOCK_DIAG_BY_FAMILY &&
        len >= (ssize_t)NLMSG_LENGTH(sizeof(struct inet_diag_msg))) {
        const struct inet_diag_msg *found = NLMSG_DATA(head);
        return found->idiag_inode ? SOCK_DIAG_OPEN : SOCK_DIAG_CLOSED;
    }
    if (head->nlmsg_type != NLMSG_ERROR || len < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)))
        return SOCK_DIAG_UNKNOWN;
    const struct nlmsgerr *error = NLMSG_DATA(head);
    return error->error == -ENOENT || error->error == -ESTALE ? SOCK_DIAG_CLOSED
                                                              : SOCK_DIAG_UNKNOWN;
}

enum sock_diag_answer sock_diag_ask(const struct sock_diag_key *key)
{
    struct question question = {
        .head = {.nlmsg_len = sizeof question,
                 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                 .nlmsg_flags = NLM_F_REQUEST},
        .request = {.sdiag_family = (uint8_t)key->family,
                    .sdiag_protocol = IPPROTO_TCP,
                    .idiag_states = UINT32_MAX,
                    .id = {.idiag_sport = key->local_port,
                           .idiag_dport = key->peer_port,
                           .idiag_cookie = {(uint32_t)key->cookie, (uint32_t)(key->cookie >> 32)}}},
    };
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    alignas(struct nlmsghdr) char answer[1024];
    int fd = open_diag();

    memcpy(question.request.id.idiag_src, key->local, sizeof key->local);
    memcpy(question.request.id.idiag_dst, key->peer, sizeof key->peer);
    if (fd < 0 ||
        sendto(fd, &question, sizeof question, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0)
        return SOCK_DIAG_UNKNOWN;
    return read_answer(answer, recv(fd, answer, sizeof answer, 0)); /* it is there already */
}
