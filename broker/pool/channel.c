/* channel.c - see channel.h. */
#include "broker/pool/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/journal.h"
#include "broker/base/loop/fds.h"
#include "broker/pool/closer.h"
#include "proto/channel_name.h"

/* The name by which the worker's end is recognised, see proto/channel_name.h. */
static int name_our_end(struct channel *channel)
{
    struct sockaddr_un name;

    for (;;) {
        if (getrandom(&channel->id, sizeof channel->id, 0) != sizeof channel->id)
            return -1;
        socklen_t len = channel_name_format(&name, channel->id);
        if (bind(channel->our_fd, (struct sockaddr *)&name, len) == 0)
            return 0;
        if (errno != EADDRINUSE)
            return -1;
    }
}

static void note_their_end(struct channel *channel)
{
    struct stat info;

    if (fstat(channel->their_fd, &info) < 0)
        return;
    channel->their_dev = info.st_dev;
    channel->their_ino = info.st_ino;
}

bool channel_is_end(int fd)
{
    return fds_get_option(fd, SO_TYPE) == SOCK_SEQPACKET;
}

/* The worker has no descriptor to send. Before Linux 6.16 it can, see channel_peek_fds(). */
static void refuse_fds(struct channel *channel)
{
    channel->refuses_fds = fds_refuse(channel->our_fd);
}

int channel_peek_fds(const struct channel *channel)
{
    char byte;
    struct iovec part = {.iov_base = &byte, .iov_len = sizeof byte};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

    if (channel->refuses_fds)
        return 0;
    if (recvmsg(channel->our_fd, &header, MSG_PEEK | MSG_DONTWAIT) < 0)
        return -1;
    return (header.msg_flags & MSG_CTRUNC) != 0;
}

/* Inode numbers repeat from one file system to another. A file that is no socket is asked nothing:
 * its file system might not answer. */
static bool is_their_end(const struct channel *channel, int fd)
{
    struct stat info;

    return channel_is_end(fd) && fstat(fd, &info) == 0 && info.st_dev == channel->their_dev &&
           info.st_ino == channel->their_ino;
}

static int open_pair(struct channel *channel, int *worker_fd)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -1;
    channel->our_fd = pair[0];
    *worker_fd = pair[1];
    channel->their_fd = fcntl(pair[1], F_DUPFD_CLOEXEC, 0);
    if (channel->their_fd < 0)
        return -1;
    note_their_end(channel);
    refuse_fds(channel);
    return name_our_end(channel);
}

static size_t board_size(const struct channel *channel)
{
    return channel->has_notes ? BOARD_SIZE : BOARD_SIZE_BEFORE;
}

static int map_board(struct channel *channel)
{
    void *page = fds_map_memory(channel->board_fd, board_size(channel));

    if (!page)
        return -1;
    madvise(page, board_size(channel),
            MADV_DONTFORK); /* a process that has it mapped is the worker's */
    channel->board = page;
    atomic_store(&channel->board->broker.magic, BOARD_MAGIC);
    /* what a broker that was killed may have left */
    atomic_store(&channel->board->broker.recalling, 0);
    atomic_store(&channel->board->broker.allowance, 0);
    channel->flags = BOARD_WAIT_INVISIBLE; /* told with the others that grant_mark() knows */
    return 0;
}

static int open_board(struct channel *channel)
{
    channel->has_notes = true;
    channel->board_fd = fds_make_memory(CHANNEL_BOARD_NAME, BOARD_SIZE, true);
    if (channel->board_fd < 0)
        return -1;
    /* A worker that shrinks the file would kill us by SIGBUS. */
    fcntl(channel->board_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    return map_board(channel);
}

struct channel *channel_create(struct listener *listener, struct worker *worker, int *worker_fd)
{
    struct channel *channel = calloc(1, sizeof *channel);

    if (!channel)
        return NULL;
    *channel = (struct channel){.listener = listener,
                                .worker = worker,
                                .our_fd = -1,
                                .their_fd = -1,
                                .board_fd = -1,
                                .watch.fd = -1};
    *worker_fd = -1;
    if (open_pair(channel, worker_fd) == 0 && open_board(channel) == 0) {
        atomic_store(&channel->board->worker.holders, 1);
        return channel;
    }
    int saved = errno;
    if (*worker_fd >= 0)
        close(*worker_fd);
    *worker_fd = -1;
    channel_destroy(channel);
    errno = saved;
    return NULL;
}

struct channel *channel_restore(struct listener *listener, struct worker *worker, uint64_t id,
                                int our_fd, int their_fd, int board_fd)
{
    struct channel *channel = calloc(1, sizeof *channel);

    if (!channel) {
        close(our_fd);
        close(their_fd);
        close(board_fd);
        return NULL;
    }
    *channel = (struct channel){.id = id,
                                .listener = listener,
                                .worker = worker,
                                .our_fd = our_fd,
                                .their_fd = their_fd,
                                .board_fd = board_fd,
                                .watch.fd = -1};
    note_their_end(channel);
    refuse_fds(channel);
    off_t size = lseek(board_fd, 0, SEEK_END);
    channel->has_notes = size == BOARD_SIZE;
    /* what can be cut short would end us by SIGBUS */
    bool is_board = fcntl(board_fd, F_GET_SEALS) >= 0 &&
                    (fcntl(board_fd, F_GET_SEALS) & F_SEAL_SHRINK) &&
                    (channel->has_notes || size == BOARD_SIZE_BEFORE);
    if (!is_board)
        errno = EPROTO;
    if (is_board && map_board(channel) == 0) {
        channel_set_queue(channel, BOARD_QUEUE_EMPTY);
        return channel;
    }
    int saved = errno;
    channel_destroy(channel);
    errno = saved;
    return NULL;
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* What was not read of it may bring descriptors, which end with it. */
static void close_ours(const struct channel *channel)
{
    if (channel->our_fd >= 0 && !channel->refuses_fds)
        closer_give(channel->our_fd);
    else
        close_if_open(channel->our_fd);
}

static void close_theirs(const struct channel *channel)
{
    if (channel->their_fd >= 0)
        closer_give(channel->their_fd);
}

static channel_reader *read_notes;

void channel_set_reader(channel_reader *reader)
{
    read_notes = reader;
}

void channel_read_notes(struct channel *channel, bool is_over)
{
    if (read_notes && channel->has_notes)
        read_notes(channel, is_over);
}

void channel_destroy(struct channel *channel)
{
    if (channel->board) {
        channel_read_notes(channel, true);
        munmap(channel->board, board_size(channel));
    }
    close_ours(channel);
    close_theirs(channel);
    close_if_open(channel->board_fd);
    free(channel);
}

void channel_set_listening(struct channel *channel)
{
    channel->listening = true;
    journal_touch();
}

void channel_set_closed(struct channel *channel)
{
    channel->closed = true;
    journal_touch();
}

static bool is_hung_up(const struct channel *channel)
{
    struct pollfd us = {.fd = channel->our_fd};
    return poll(&us, 1, 0) == 1 && (us.revents & POLLHUP);
}

bool channel_let_go(struct channel *channel)
{
    channel_stop_recall(channel);
    return !is_hung_up(channel);
}

void channel_stop_recall(struct channel *channel)
{
    close_theirs(channel);
    channel->their_fd = -1;
    journal_touch();
}

bool channel_take_back(struct channel *channel, int fd)
{
    if (is_hung_up(channel) || !is_their_end(channel, fd))
        return false;
    if (channel->their_fd < 0)
        channel->their_fd = fd;
    channel->closed = false;
    journal_touch();
    return true;
}

void channel_set_queue(struct channel *channel, enum board_queue value)
{
    atomic_store_explicit(&channel->board->broker.queue_waits, value, memory_order_relaxed);
}

void channel_set_flags(struct channel *channel, uint32_t mask, uint32_t flags)
{
    channel->flags = (channel->flags & ~mask) | flags;
    atomic_store_explicit(&channel->board->broker.flags, channel->flags, memory_order_relaxed);
}

void channel_set_flag(struct channel *channel, uint32_t flag, bool on)
{
    if (on != ((channel->flags & flag) != 0))
        channel_set_flags(channel, flag, on ? flag : 0);
}

void channel_set_allowance(struct channel *channel, uint32_t connections)
{
    if (channel->allowance != connections)
        atomic_store_explicit(&channel->board->broker.allowance, connections, memory_order_relaxed);
    channel->allowance = connections;
}
