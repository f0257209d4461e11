/*
 * hostile.h - what attackers have in common: to speak to the broker without libsshim.so, as a
 * program can that was started as a worker, or by a stranger, and was broken into.
 *
 * Each attacker is one program, named after who it is and what it does. It prints one line when the
 * attack is under way.
 */
#ifndef SSHIM_TESTS_HOSTILE_H
#define SSHIM_TESTS_HOSTILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/fdpass.h"
#include "proto/wire.h"

static inline void die(const char *what)
{
    perror(what);
    exit(1);
}

/* A link to the broker by its abstract name, which is told to workers, and to whoever reads
 * /proc/net/unix. -1 when that is refused. */
static inline int hostile_knock_with(int flags)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int used =
        snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "%s", getenv("SSHIM_RENDEZVOUS"));
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | flags, 0);

    if (connect(fd, (struct sockaddr *)&name,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)used)) == 0)
        return fd;
    close(fd);
    return -1;
}

static inline int hostile_knock(void)
{
    return hostile_knock_with(0);
}

/* The token and the slot that this process was given. */
static inline struct wire_auth hostile_auth(void)
{
    struct wire_auth auth = {.slot = (uint32_t)atoi(getenv("SSHIM_WORKER_ID"))};

    for (int i = 0; i < WIRE_TOKEN_SIZE; i++) {
        unsigned byte = 0;
        sscanf(getenv("SSHIM_TOKEN") + 2 * i, "%2x", &byte);
        auth.token[i] = (uint8_t)byte;
    }
    return auth;
}

/* What a granted claim brings. */
struct hostile_share {
    int channel_fd, shadow_fd, board_fd;
};

/* Claims the address for a socket, as bind(2) in a worker does. */
static inline struct hostile_share hostile_claim(int link_fd, const void *address, socklen_t len,
                                                 int socket_fd)
{
    struct wire_claim claim = {
        .head = WIRE_HEAD(WIRE_CLAIM), .auth = hostile_auth(), .address.len_bytes = len};
    struct hostile_share share;
    char bytes[sizeof(struct wire_grant)];

    memcpy(claim.address.bytes, address, len);
    if (fdpass_send(link_fd, &claim, sizeof claim, socket_fd, 0) < 0)
        die("claim");
    fdpass_recv(link_fd, bytes, sizeof bytes, &share.channel_fd, 0, NULL);
    fdpass_recv(link_fd, bytes, sizeof bytes, &share.shadow_fd, 0, NULL);
    fdpass_recv(link_fd, bytes, sizeof bytes, &share.board_fd, 0, NULL);
    if (share.board_fd < 0)
        die("the claim was not granted");
    return share;
}

#endif
