/* record.h - a listener of this process as the broker would have granted it: a channel, whose other
 * end the test has, a canonical socket on the loopback, a scoreboard. */
#ifndef SSHIM_TESTS_UNIT_SHIM_RECORD_H
#define SSHIM_TESTS_UNIT_SHIM_RECORD_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../unit.h"
#include "proto/fdpass.h"
#include "proto/wire.h"
#include "shim/base/next.h"
#include "shim/record/vlisten.h"

static struct board record_boards[4];
static int record_broker_fds[4]; /* the broker's ends */

static int record_open_canonical(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    CHECK(bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0 && listen(fd, 16) == 0);
    return fd;
}

/* The i-th record, as new; nobody waits, nothing was taken. Gives its fd. */
static int record_make(unsigned i, bool nonblock)
{
    struct vlisten *listener = &vlisten_table[i];
    int pair[2];

    next_resolve();
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    memset(&record_boards[i], 0, sizeof record_boards[i]);
    memset(listener, 0, sizeof *listener);
    record_broker_fds[i] = pair[1];
    listener->board = &record_boards[i];
    listener->refs = 1;
    listener->fd = pair[0];
    listener->own_fd = -1;
    listener->channel_fd = -1;
    listener->shadow_fd = record_open_canonical();
    record_boards[i].worker.flags = BOARD_LISTENING;
    record_boards[i].worker.holders = 1;
    vlisten_set_nonblock(listener, nonblock);
    if (nonblock)
        fcntl(pair[0], F_SETFL, O_NONBLOCK);
    fdmap_set(pair[0], FDMAP_LISTENER, i);
    vlisten_any = true;
    return pair[0];
}

static void record_drop(unsigned i)
{
    struct vlisten *listener = &vlisten_table[i];
    int fd = listener->fd;

    fdmap_clear(fd);
    close(fd);
    close(record_broker_fds[i]);
    close(listener->shadow_fd);
    memset(listener, 0, sizeof *listener);
}

/* A client of the canonical socket. */
static inline int record_connect(unsigned i)
{
    struct sockaddr_in addr;
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(getsockname(vlisten_table[i].shadow_fd, (struct sockaddr *)&addr, &len) == 0);
    CHECK(connect(fd, (struct sockaddr *)&addr, len) == 0);
    return fd;
}

/* The broker offers this descriptor. */
static inline void record_offer(unsigned i, int fd)
{
    struct wire_offer offer = {.head = WIRE_HEAD(WIRE_OFFER)};

    record_boards[i].broker.sent++;
    CHECK(fdpass_send(record_broker_fds[i], &offer, WIRE_OFFER_MIN, fd, 0) == 0);
}

/* The type of what the worker told the broker, or -1: nothing. */
static inline int record_told(unsigned i)
{
    struct wire_head head = {0};

    return recv(record_broker_fds[i], &head, sizeof head, MSG_DONTWAIT) > 0 ? head.type : -1;
}

#endif
