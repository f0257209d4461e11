/* sink.c - see sink.h. */
#include "broker/base/log/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_FLAGS (O_WRONLY | O_APPEND | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)
#define LOCK_WAIT_MS 1
#define LOCK_WAITS 5

/* Not among the first three, which programs take for something else. Takes fd. */
static int move_up(int fd)
{
    int moved = fd < 0 || fd > STDERR_FILENO ? fd : fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

    if (moved != fd)
        close(fd);
    return moved;
}

void sink_open_standard(struct sink *sink, int fd)
{
    struct stat info;
    char path[32];

    *sink = (struct sink){.fd = fd, .may_wait = true, .is_terminal = isatty(fd)};
    if (fstat(fd, &info) < 0)
        return;
    sink->is_socket = S_ISSOCK(info.st_mode);
    if (!S_ISFIFO(info.st_mode) && !S_ISCHR(info.st_mode))
        return;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int own_fd = move_up(open(path, OPEN_FLAGS));
    if (own_fd >= 0)
        *sink = (struct sink){.fd = own_fd, .is_terminal = sink->is_terminal};
}

int sink_open_file(struct sink *sink, const char *path)
{
    int fd = move_up(open(path, OPEN_FLAGS | O_CREAT, 0640));

    if (fd < 0)
        return -1;
    if (sink->fd > STDERR_FILENO) {
        dup3(fd, sink->fd, O_CLOEXEC);
        close(fd);
        fd = sink->fd;
    }
    *sink = (struct sink){.fd = fd};
    return 0;
}

/* A pipe that polls writable takes PIPE_BUF bytes without blocking (pipe(7)), unless another
 * process writes in between. */
static bool is_writable(int fd, int wait_ms)
{
    struct pollfd out = {.fd = fd, .events = POLLOUT};
    return poll(&out, 1, wait_ms) == 1 && (out.revents & POLLOUT);
}

/* Or -1 with EAGAIN: now it would wait. */
static ssize_t write_now(const struct sink *sink, const char *text, size_t len)
{
    if (sink->is_socket)
        return send(sink->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sink->may_wait && !is_writable(sink->fd, 0)) {
        errno = EAGAIN;
        return -1;
    }
    return write(sink->fd, text, len);
}

/*
 * While another process writes to a terminal, the kernel refuses a write that may not wait (EAGAIN,
 * tty_write_lock), though there is room. That is over soon, unless the terminal is stopped: after a
 * line that was lost there is no second wait until one was taken.
 */
static ssize_t write_terminal(struct sink *sink, const char *text, size_t len)
{
    int waits = sink->is_stopped ? 0 : LOCK_WAITS;
    ssize_t written = write_now(sink, text, len);

    while (written < 0 && errno == EAGAIN && waits-- > 0) {
        is_writable(sink->fd, LOCK_WAIT_MS);
        written = write_now(sink, text, len);
    }
    sink->is_stopped = written != (ssize_t)len;
    return written;
}

bool sink_write(struct sink *sink, const char *text, size_t len)
{
    ssize_t written;

    if (sink->fd < 0)
        return false;
    written = sink->is_terminal ? write_terminal(sink, text, len) : write_now(sink, text, len);
    if (written < 0 && errno == EBADF) /* a helper process that keeps few descriptors */
        written = write(STDERR_FILENO, text, len);
    return written == (ssize_t)len;
}
