/* fdpass.c - SCM_RIGHTS, see unix(7) and cmsg(3). */
#include "fdpass.h"

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

union control {
    struct cmsghdr header;
    uint8_t bytes[CMSG_SPACE(sizeof(int))];
};

int fdpass_send(int socket_fd, const void *bytes, size_t len_bytes, int fd, int flags)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len_bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    union control control;

    if (fd >= 0) {
        memset(&control, 0, sizeof control);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
    }
    return sendmsg(socket_fd, &message, flags | MSG_NOSIGNAL) < 0 ? -1 : 0;
}

ssize_t (*fdpass_recvmsg)(int, struct msghdr *, int) = recvmsg;

ssize_t fdpass_recv(int socket_fd, void *bytes, size_t size_bytes, int *fd, int flags,
                    int *truncated)
{
    union control control;
    struct iovec part = {.iov_base = bytes, .iov_len = size_bytes};
    /* CMSG_LEN, not CMSG_SPACE: on 64 bit the padding of the latter has room for a second
     * descriptor. */
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = CMSG_LEN(sizeof(int)),
    };

    *fd = -1;
    ssize_t got = fdpass_recvmsg(socket_fd, &message, flags);
    if (got < 0)
        return -1;
    if (message.msg_controllen >= CMSG_LEN(sizeof(int)) &&
        control.header.cmsg_level == SOL_SOCKET && control.header.cmsg_type == SCM_RIGHTS &&
        control.header.cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(fd, CMSG_DATA(&control.header), sizeof *fd);
    if (truncated)
        *truncated = (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0;
    return got;
}

ssize_t fdpass_recv_from(int socket_fd, void *bytes, size_t size_bytes, struct ucred *sender,
                         int flags, int *had_fds)
{
    struct iovec part = {.iov_base = bytes, .iov_len = size_bytes};
    union {
        struct cmsghdr header;
        char room[CMSG_LEN(sizeof(struct ucred))]; /* and for nothing else */
    } control;
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = CMSG_LEN(sizeof *sender),
    };

    *sender = (struct ucred){.pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1};
    ssize_t got = fdpass_recvmsg(socket_fd, &message, flags);
    if (got >= 0 && message.msg_controllen >= CMSG_LEN(sizeof *sender) &&
        control.header.cmsg_level == SOL_SOCKET && control.header.cmsg_type == SCM_CREDENTIALS)
        memcpy(sender, CMSG_DATA(&control.header), sizeof *sender);
    if (had_fds)
        *had_fds = got >= 0 && (message.msg_flags & MSG_CTRUNC);
    return got;
}
