/* hold.c - see hold.h. */
#include "broker/handout/front/hold.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "broker/base/turn.h"
#include "broker/diagnose/sock_diag.h"

/* The window of a connection is half of its SO_RCVBUF, less where its packets have much overhead.
 */
#define FULL_AT 4       /* one in so many bytes of SO_RCVBUF */
#define RCVBUF_MIN 2304 /* socket(7) */

#define ASK_SHARE 9 /* a question is followed by so many times its duration without one */

#define DEFER_S 1 /* the kernel's least: it hands a silent client over after the next ACK */

#define TLS_HANDSHAKE 22 /* content type, RFC 8446, 5.1 */
#define TLS_MAJOR 3      /* of all versions from SSL 3.0 on */
#define TLS_RECORD_HEAD 5
#define TLS_RECORD_MAX 16384 /* bytes of plain text in a record */
#define TLS_CLIENT_HELLO 1   /* handshake type, RFC 8446, 4 */
#define TLS_MESSAGE_HEAD 4

/* --- HTTP/1: RFC 9112 --- */

/* RFC 9110, 5.6.2. */
static bool is_token_char(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* RFC 9112, 2.2: empty lines in front of a request are ignored. */
static size_t skip_empty_lines(const uint8_t *bytes, size_t len)
{
    size_t at = 0;

    while (at < len &&
           (bytes[at] == '\n' || (bytes[at] == '\r' && at + 1 < len && bytes[at + 1] == '\n')))
        at += bytes[at] == '\n' ? 1 : 2;
    return at;
}

/* So far: a method, then a space. */
static bool begins_request(const uint8_t *bytes, size_t len)
{
    size_t method = 0;

    if (len == 1 && bytes[0] == '\r') /* of one more empty line */
        return true;
    while (method < len && is_token_char(bytes[method]))
        method++;
    return method == len || (method > 0 && bytes[method] == ' ');
}

/* A request of HTTP/0.9 has no version: its line is all of it. */
static bool has_version(const uint8_t *line, size_t len)
{
    return memmem(line, len, " HTTP/", 6) != NULL;
}

/* Whether a line that ends before this byte is followed by an empty one. */
static bool is_empty_line(const uint8_t *bytes, size_t len)
{
    return (len >= 1 && bytes[0] == '\n') || (len >= 2 && bytes[0] == '\r' && bytes[1] == '\n');
}

static bool is_http_complete(const uint8_t *bytes, size_t len)
{
    size_t at = skip_empty_lines(bytes, len);
    const uint8_t *end = bytes + len;
    const uint8_t *line = bytes + at;
    const uint8_t *line_end = memchr(line, '\n', len - at);

    if (!begins_request(line, len - at))
        return true;
    if (line_end && !has_version(line, (size_t)(line_end - line)))
        return true;
    for (; line_end; line_end = memchr(line_end + 1, '\n', (size_t)(end - line_end - 1)))
        if (is_empty_line(line_end + 1, (size_t)(end - line_end - 1)))
            return true;
    return false;
}

/* --- TLS: RFC 8446, 5.1 and 4.1.2; a hello may be in several records --- */

struct hello {
    size_t have; /* bytes of the handshake message */
    uint8_t head[TLS_MESSAGE_HEAD];
};

/* Its length with the head, as far as that is known. */
static size_t hello_size(const struct hello *hello)
{
    if (hello->have < TLS_MESSAGE_HEAD)
        return TLS_MESSAGE_HEAD;
    return TLS_MESSAGE_HEAD +
           ((size_t)hello->head[1] << 16 | (size_t)hello->head[2] << 8 | hello->head[3]);
}

static void add_fragment(struct hello *hello, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len && hello->have + i < TLS_MESSAGE_HEAD; i++)
        hello->head[hello->have + i] = bytes[i];
    hello->have += len;
}

/* Whether these bytes, as many as there are, can be the head of a record of a handshake. */
static bool begins_record(const uint8_t *bytes, size_t len)
{
    size_t size = len >= TLS_RECORD_HEAD ? (size_t)bytes[3] << 8 | bytes[4] : 1;

    return (len < 1 || bytes[0] == TLS_HANDSHAKE) && (len < 2 || bytes[1] == TLS_MAJOR) &&
           size > 0 && size <= TLS_RECORD_MAX;
}

static bool is_tls_complete(const uint8_t *bytes, size_t len)
{
    struct hello hello = {0};

    while (begins_record(bytes, len)) {
        if (len < TLS_RECORD_HEAD)
            return false;
        size_t size = (size_t)bytes[3] << 8 | bytes[4];
        size_t there = len - TLS_RECORD_HEAD < size ? len - TLS_RECORD_HEAD : size;
        add_fragment(&hello, bytes + TLS_RECORD_HEAD, there);
        bool is_other = (hello.have > 0 && hello.head[0] != TLS_CLIENT_HELLO) ||
                        hello_size(&hello) > HOLD_BYTES_MAX;
        if (is_other || (hello.have >= TLS_MESSAGE_HEAD && hello.have >= hello_size(&hello)))
            return true;
        if (there < size)
            return false;
        bytes += TLS_RECORD_HEAD + size;
        len -= TLS_RECORD_HEAD + size;
    }
    return true;
}

/* --- the stage --- */

bool hold_is_complete(enum config_hold kind, const uint8_t *bytes, size_t len)
{
    if (len == 0 || len >= HOLD_BYTES_MAX)
        return len > 0;
    switch (kind) {
    case HOLD_NONE:
    case HOLD_DATA: return true;
    case HOLD_LINE: return memchr(bytes, '\n', len) != NULL;
    case HOLD_HTTP: return is_http_complete(bytes, len);
    case HOLD_TLS: return is_tls_complete(bytes, len);
    }
    return true;
}

void hold_prepare(const struct listener *listener)
{
    int seconds = 0;
    socklen_t len = sizeof seconds;

    /* tcp(7), TCP_DEFER_ACCEPT: what the server has set itself stays */
    if (listener->front.hold != HOLD_DATA ||
        getsockopt(listener->canonical_fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, &len) < 0 ||
        seconds > 0)
        return;
    seconds = DEFER_S;
    setsockopt(listener->canonical_fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds);
}

bool hold_is_dead(int fd)
{
    struct pollfd state = {.fd = fd, .events = POLLRDHUP};
    char byte;

    if (poll(&state, 1, 0) <= 0)
        return false;
    return (state.revents & POLLERR) || recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

/* Whether there is no room for more: a server may have made the buffer small. Natively it would
 * read, so that more can come. */
static bool is_full(int fd, size_t have)
{
    int size = 0;
    socklen_t len = sizeof size;

    if (have < RCVBUF_MIN / FULL_AT)
        return false;
    return getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, &len) == 0 &&
           have >= (size_t)size / FULL_AT;
}

/* The same of AF_UNIX: its buffer is the client's, and each write takes some hundred bytes of it,
 * however few it has. */
static bool is_sender_full(int fd, bool *is_known)
{
    static int64_t not_before_us;
    int64_t now_us = turn_read_us(CLOCK_MONOTONIC);

    *is_known = now_us >= not_before_us;
    if (!*is_known)
        return false;
    bool is_full = sock_diag_is_sender_full(fd);
    int64_t end_us = turn_read_us(CLOCK_MONOTONIC);
    not_before_us = end_us + ASK_SHARE * (end_us - now_us);
    return is_full;
}

/* Bytes came, but not enough, and the client may send more. there: so many at least came before the
 * look. */
static struct held_look look_further(int fd, bool is_unix, size_t there, size_t have)
{
    bool is_known = true;
    bool is_last = is_unix ? there > have || is_sender_full(fd, &is_known) : is_full(fd, have);

    if (!is_known)
        return (struct held_look){.result = LOOK_LATER};
    return (struct held_look){.result = is_last ? LOOK_DONE : LOOK_MORE};
}

static size_t count_bytes(int fd)
{
    int bytes = 0;

    return ioctl(fd, SIOCINQ, &bytes) == 0 && bytes > 0 ? (size_t)bytes : 0; /* unix(7) */
}

struct held_look hold_look(struct held *held, uint32_t events)
{
    bool is_unix = held->listener->bound.storage.ss_family == AF_UNIX;
    size_t there = is_unix ? count_bytes(held->fd) : 0;
    static uint8_t bytes[HOLD_BYTES_MAX];
    enum config_hold kind = held->listener->front.hold;
    size_t room = kind == HOLD_DATA ? 1 : sizeof bytes;
    ssize_t got = recv(held->fd, bytes, room, MSG_PEEK | MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return (struct held_look){.result = LOOK_MORE};
    if (got <= 0)
        return (struct held_look){LOOK_CLOSE, HELD_HUNG_UP};
    if ((events & (HELD_HALF_CLOSED | EPOLLPRI)) || hold_is_complete(kind, bytes, (size_t)got))
        return (struct held_look){.result = LOOK_DONE};
    return look_further(held->fd, is_unix, there, (size_t)got);
}
