/* full.c - see full.h. */
#include "broker/handout/front/full.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/broker.h"

#define PLACEHOLDER "{retry_after}"
#define READS_AT_ONCE 16

static char answer[FULL_ANSWER_MAX];
static size_t answer_len;

bool full_is_asked_for(void)
{
    return broker.config.when_full.kind != WHEN_FULL_QUEUE;
}

/* A pipe without a writer must not make us sleep. */
static int open_file(const char *path)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd >= 0 && (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode))) {
        close(fd);
        errno = S_ISDIR(info.st_mode) ? EISDIR : EINVAL;
        return -1;
    }
    return fd;
}

static ssize_t read_all(int fd, char *into, size_t size)
{
    size_t used = 0;
    ssize_t got = 1;

    while (used < size && got > 0) {
        got = read(fd, into + used, size - used);
        used += got > 0 ? (size_t)got : 0;
    }
    return got < 0 ? -1 : (ssize_t)used;
}

bool full_read(const char *path, struct option_fault *fault)
{
    char next[FULL_ANSWER_MAX + 1];

    if (!path)
        return true;
    int fd = open_file(path);
    ssize_t len = fd >= 0 ? read_all(fd, next, sizeof next) : -1;
    int error = errno;
    if (fd >= 0)
        close(fd);
    if (len < 0)
        option_fail(fault,
                    "cannot read %s for --when-full: %s; give 'queue', 'close' or a file that "
                    "this user may read",
                    path, strerror(error));
    else if (len == 0)
        option_fail(fault, "%s for --when-full is empty; use --when-full close", path);
    else if ((size_t)len > sizeof answer)
        option_fail(fault, "%s for --when-full is too large; at most %d bytes are sent", path,
                    FULL_ANSWER_MAX);
    else
        memcpy(answer, next, answer_len = (size_t)len);
    return len > 0 && (size_t)len <= sizeof answer;
}

/* It is never longer: no number has as many digits as the placeholder has letters. */
static size_t fill_in(char *into)
{
    const char *from = answer;
    const char *end = answer + answer_len;
    const char *place;
    size_t len = 0;

    while ((place = memmem(from, (size_t)(end - from), PLACEHOLDER, sizeof PLACEHOLDER - 1))) {
        memcpy(into + len, from, (size_t)(place - from));
        len += (size_t)(place - from);
        char number[16];
        size_t digits = (size_t)snprintf(number, sizeof number, "%u", broker.config.full_after_s);
        memcpy(into + len, number, digits);
        len += digits;
        from = place + sizeof PLACEHOLDER - 1;
    }
    memcpy(into + len, from, (size_t)(end - from));
    return len + (size_t)(end - from);
}

/* A server may have made the buffer smaller than the answer. */
static bool send_all(int fd, const char *text, size_t len)
{
    const int room = 2 * FULL_ANSWER_MAX;
    ssize_t sent = send(fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (sent >= 0 && (size_t)sent < len) {
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
        ssize_t rest = send(fd, text + sent, len - (size_t)sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        sent += rest > 0 ? rest : 0;
    }
    return sent == (ssize_t)len;
}

bool full_answer(int fd)
{
    char text[FULL_ANSWER_MAX];

    return answer_len > 0 && send_all(fd, text, fill_in(text)) && shutdown(fd, SHUT_WR) == 0;
}

/* MSG_TRUNC: of TCP nothing is copied, tcp(7). What grows while we read is reported again. */
struct held_look full_look(struct held *held, uint32_t events)
{
    static char sink[65536];
    ssize_t got = 1;

    (void)events; /* recv(2) tells the end, behind all that was sent */
    for (int i = 0; got > 0 && i < READS_AT_ONCE; i++)
        got = recv(held->fd, sink, sizeof sink, MSG_DONTWAIT | MSG_TRUNC);
    if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)))
        return (struct held_look){.result = LOOK_MORE};
    return (struct held_look){LOOK_CLOSE, HELD_FULL};
}
