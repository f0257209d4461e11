/* lines.c - see lines.h. */
#include "broker/life/launch/lines.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/log/sink.h"
#include "broker/base/turn.h"
#include "proto/fdpass.h"

#define CONTROL_FD 3
#define PIECE_MAX 4000 /* with the prefix it fits into PIPE_BUF: lines stay whole, see pipe(7) */
#define QUIET_MS 200   /* then a line without an end is written as it is */

struct stream {
    int fd;
    struct lines_stream is;
    uint64_t lost; /* lines, since one was written */
    size_t used;
    int64_t last_ms; /* when something came */
    LIST_ENTRY(stream) all;
    char text[PIECE_MAX];
};

static LIST_HEAD(, stream) streams = LIST_HEAD_INITIALIZER(streams);
static struct sink sinks[2];
static int epoll_fd;
static bool has_broker = true;

static void write_piece(struct stream *stream, const char *text, size_t len)
{
    char line[PIECE_MAX + 64];
    int used = sprintf(line, "[%u] ", stream->is.slot);

    if (stream->lost > 0)
        used += sprintf(line + used, "(%llu line%s lost) ", (unsigned long long)stream->lost,
                        stream->lost == 1 ? "" : "s");
    memcpy(line + used, text, len);
    line[(size_t)used + len] = '\n';
    if (sink_write(&sinks[stream->is.is_error != 0], line, (size_t)used + len + 1))
        stream->lost = 0;
    else
        stream->lost++;
}

static void flush(struct stream *stream)
{
    if (stream->used > 0)
        write_piece(stream, stream->text, stream->used);
    stream->used = 0;
}

static void write_lines(struct stream *stream)
{
    char *start = stream->text;
    size_t left = stream->used;

    for (char *end; (end = memchr(start, '\n', left)) != NULL; start = end + 1) {
        size_t len = (size_t)(end - start);
        bool is_cut = len > 0 && memcmp(end - 1, LINES_CUT, LINES_CUT_LEN) == 0;
        if (!is_cut || len > 1)
            write_piece(stream, start, len - is_cut);
        left -= len + 1;
    }
    memmove(stream->text, start, left);
    stream->used = left;
    if (stream->used == sizeof stream->text)
        flush(stream);
}

static void end_stream(struct stream *stream)
{
    flush(stream);
    /* the broker, or a child of it, may have the pipe open still: a close alone would leave it
     * there */
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, stream->fd, NULL);
    close(stream->fd);
    LIST_REMOVE(stream, all);
    free(stream);
}

static void read_stream(struct stream *stream)
{
    ssize_t got = read(stream->fd, stream->text + stream->used, sizeof stream->text - stream->used);

    if (got <= 0) {
        end_stream(stream);
        return;
    }
    stream->used += (size_t)got;
    stream->last_ms = turn_read_ms();
    write_lines(stream);
}

static void take_stream(void)
{
    struct lines_stream is;
    int fd = -1;
    ssize_t got = fdpass_recv(CONTROL_FD, &is, sizeof is, &fd, MSG_CMSG_CLOEXEC, NULL);
    struct stream *stream = got == sizeof is && fd >= 0 ? calloc(1, sizeof *stream) : NULL;

    if (got == 0) {
        has_broker = false;
        close(CONTROL_FD);
    }
    if (!stream) {
        if (fd >= 0)
            close(fd);
        return;
    }
    stream->fd = fd;
    stream->is = is;
    LIST_INSERT_HEAD(&streams, stream, all);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd,
              &(struct epoll_event){.events = EPOLLIN, .data.ptr = stream});
}

/* For how long to wait: -1 where no line is without its end. */
static int flush_old(void)
{
    struct stream *stream;
    int wait_ms = -1;

    LIST_FOREACH(stream, &streams, all) {
        if (stream->used > 0 && turn_read_ms() - stream->last_ms >= QUIET_MS)
            flush(stream);
        if (stream->used > 0)
            wait_ms = QUIET_MS;
    }
    return wait_ms;
}

/* Keeps nothing of the broker's; nothing but the end of what it reads concerns it. */
static void begin(int control_fd)
{
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    setsid();
    prctl(PR_SET_NAME, "sshim-lines");
    dup2(control_fd, CONTROL_FD);
    close_range(CONTROL_FD + 1, ~0u, 0);
    sink_open_standard(&sinks[0], STDOUT_FILENO);
    sink_open_standard(&sinks[1], STDERR_FILENO);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, CONTROL_FD, &(struct epoll_event){.events = EPOLLIN});
}

void lines_run(int control_fd)
{
    struct epoll_event event;

    begin(control_fd);
    while (has_broker || !LIST_EMPTY(&streams)) {
        if (epoll_wait(epoll_fd, &event, 1, flush_old()) != 1)
            continue;
        if (event.data.ptr)
            read_stream(event.data.ptr);
        else
            take_stream();
    }
    _exit(0);
}
