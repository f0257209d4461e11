/* conn.c - one connection of the load program: connect, request, answer, end; every way it can end
 * is counted. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "load.h"
#include "protocol.h"

static int epoll_fd = -1;
static struct conn_queue waiting = TAILQ_HEAD_INITIALIZER(waiting);
static struct conn_queue held = TAILQ_HEAD_INITIALIZER(held);
static unsigned next_target, next_source;

void conn_init(int fd)
{
    epoll_fd = fd;
}

static void note_right(const struct conn *conn, uint64_t now)
{
    uint64_t took = now - conn->scheduled_ns;
    uint64_t gap = now - counts.last_right_ns;

    histogram_add(&counts.all, took);
    histogram_add(&counts.by_type[(unsigned char)conn->type], took);
    if (gap > counts.longest_gap_ns)
        counts.longest_gap_ns = gap;
    counts.last_right_ns = now;
    if (load_goes_on())
        counts.right_in_time++;
}

static void note_worker(struct conn *conn)
{
    char digits[5] = {0};

    if (conn->counted || options.http_path)
        return;
    conn->counted = true;
    memcpy(digits, conn->answer + 1, 4);
    counts.by_worker[strtoul(digits, NULL, 16) & 0xffff]++;
}

static void finish(struct conn *conn, enum load_outcome outcome)
{
    counts.outcomes[outcome]++;
    if (outcome == LOAD_RIGHT)
        note_right(conn, load_now_ns());
    if (conn->holding)
        TAILQ_REMOVE(&held, conn, by_deadline);
    else
        TAILQ_REMOVE(&waiting, conn, by_deadline);
    conn->holding = false;
    if (conn->fd >= 0)
        close(conn->fd);
    conn->fd = -1;
    load_on_free(conn);
}

static enum load_outcome outcome_of_error(const struct conn *conn, int error)
{
    if (error == ECONNREFUSED || (error == EAGAIN && !conn->connected))
        return LOAD_REFUSED;
    if (error == ECONNRESET || error == EPIPE)
        return LOAD_RESET;
    if (error == ETIMEDOUT)
        return LOAD_TIMED_OUT;
    return LOAD_LOCAL;
}

/* --- request ---------------------------------------------------------------------------------- */

/* "l95h5": a type with its weight. */
static char draw_type(void)
{
    unsigned total = 0;
    char *end;

    for (const char *at = options.mix; *at; at = end)
        total += (unsigned)strtoul(at + 1, &end, 10);
    unsigned draw = (unsigned)(load_random() % (total ? total : 1));
    for (const char *at = options.mix; *at; at = end) {
        unsigned weight = (unsigned)strtoul(at + 1, &end, 10);
        if (draw < weight)
            return *at;
        draw -= weight;
    }
    return options.mix[0];
}

static size_t format_request(const struct conn *conn, char *text, size_t size)
{
    if (!options.http_path) {
        text[0] = conn->type;
        return 1;
    }
    return (size_t)snprintf(text, size,
                            "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: %s\r\n\r\n",
                            options.http_path, conn->requests_left > 1 ? "keep-alive" : "close");
}

/* Version 2 of proxy-protocol.txt: a TCP connection of IPv4, from 192.0.2.1 to 198.51.100.1. */
static const char proxy_header[28] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
                                     "\xc0\0\2\1\xc6\x33\x64\1\x12\x67\0\x50";

/* False: not connected yet. A request is small and the first in the send buffer: it goes whole. */
static bool send_request(struct conn *conn)
{
    char text[512];
    size_t len = conn->connected || !options.proxied ? 0 : sizeof proxy_header;

    memcpy(text, proxy_header, len);
    len += format_request(conn, text + len, sizeof text - len);
    if (send(conn->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len) {
        counts.requests++;
        return true;
    }
    return false;
}

static void begin_request(struct conn *conn)
{
    bool stays_open = options.keep > 0 || options.hold;

    conn->type = draw_type();
    if (stays_open && !options.http_path)
        conn->type = (char)toupper((unsigned char)conn->type);
    conn->got = 0;
    conn->wanted = options.http_path ? 0 : BENCH_ANSWER_BYTES;
    if (tolower((unsigned char)conn->type) == 'b')
        conn->wanted += BENCH_BULK_BYTES;
    conn->deadline_ns = load_now_ns() + (uint64_t)options.timeout_ms * 1000000;
    TAILQ_INSERT_TAIL(&waiting, conn, by_deadline);
}

static void watch(struct conn *conn, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = conn};
    epoll_ctl(epoll_fd, operation, conn->fd, &event);
}

static void note_connected(struct conn *conn)
{
    conn->connected = true;
    counts.connected++;
}

static void reset_connection(struct conn *conn)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    finish(conn, LOAD_GIVEN_UP);
}

/* The connection is made, or may be: says the first thing. */
static void go_ahead(struct conn *conn, bool first_look)
{
    if (options.behaviour == LOAD_NORMAL) {
        if (!send_request(conn)) {
            if (first_look && (errno == EAGAIN || errno == ENOTCONN)) {
                conn->waits_for_output = true;
                watch(conn, EPOLL_CTL_ADD, EPOLLOUT);
            } else {
                finish(conn, outcome_of_error(conn, errno));
            }
            return;
        }
        note_connected(conn);
        watch(conn, conn->waits_for_output ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, EPOLLIN);
        conn->waits_for_output = false;
        return;
    }
    if (first_look) {
        conn->waits_for_output = true;
        watch(conn, EPOLL_CTL_ADD, EPOLLOUT);
        return;
    }
    note_connected(conn);
    conn->waits_for_output = false;
    if (options.behaviour == LOAD_RESETS)
        reset_connection(conn);
    else
        watch(conn, EPOLL_CTL_MOD, EPOLLIN);
}

static void bind_source(int fd)
{
    struct sockaddr_in source = {.sin_family = AF_INET};
    int on = 1;

    source.sin_addr.s_addr = htonl(0x7f000002u + next_source++ % (unsigned)options.sources);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    bind(fd, (struct sockaddr *)&source, sizeof source);
}

void conn_start(struct conn *conn, uint64_t scheduled_ns)
{
    const struct bench_address *to = &options.to[next_target++ % (unsigned)options.to_count];
    int family = to->sockaddr.ss_family;

    counts.started++;
    conn->connected = conn->waits_for_output = conn->counted = false;
    conn->scheduled_ns = scheduled_ns;
    conn->requests_left = options.keep > 0 ? options.keep : 1;
    conn->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    begin_request(conn);
    if (conn->fd < 0) {
        finish(conn, LOAD_LOCAL);
        return;
    }
    if (options.sources > 0 && family == AF_INET)
        bind_source(conn->fd);
    if (connect(conn->fd, (const struct sockaddr *)&to->sockaddr, to->len_bytes) < 0 &&
        errno != EINPROGRESS) {
        finish(conn, outcome_of_error(conn, errno));
        return;
    }
    go_ahead(conn, true);
}

/* --- answer ------------------------------------------------------------------------------------
 */

/* Finds the length of an HTTP answer in its head; 0 while unknown, which without Content-Length it
 * stays to the end. */
static size_t http_length(const struct conn *conn)
{
    size_t kept = conn->got < LOAD_ANSWER_MAX ? conn->got : LOAD_ANSWER_MAX;
    const char *end = memmem(conn->answer, kept, "\r\n\r\n", 4);

    if (!end)
        return 0;
    for (const char *line = conn->answer; line < end;) {
        const char *next = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
        if (strncasecmp(line, "Content-Length:", 15) == 0)
            return (size_t)(end + 4 - conn->answer) + strtoul(line + 15, NULL, 10);
        line = next + 2;
    }
    return 0;
}

static bool looks_right(const struct conn *conn)
{
    if (options.http_path)
        return conn->got > 12 && memcmp(conn->answer, "HTTP/1.", 7) == 0 &&
               memcmp(conn->answer + 8, " 200", 4) == 0;
    return conn->got >= BENCH_ANSWER_BYTES && conn->answer[0] == conn->type &&
           conn->answer[BENCH_ANSWER_BYTES - 1] == '\n';
}

static enum load_outcome judge(const struct conn *conn)
{
    bool whole = conn->wanted ? conn->got >= conn->wanted : options.http_path && conn->got > 12;

    if (!whole)
        return LOAD_LOST;
    if (!looks_right(conn))
        return LOAD_WRONG;
    return conn->wanted && conn->got > conn->wanted ? LOAD_TWICE : LOAD_RIGHT;
}

/* The answer is complete and the connection stays: asks again, holds, or ends. */
static void next_request(struct conn *conn)
{
    enum load_outcome outcome = judge(conn);

    note_worker(conn);
    conn->requests_left--;
    if (outcome != LOAD_RIGHT || (!options.hold && (conn->requests_left <= 0 || !load_goes_on()))) {
        finish(conn, outcome);
        return;
    }
    counts.outcomes[LOAD_RIGHT]++;
    note_right(conn, load_now_ns());
    TAILQ_REMOVE(&waiting, conn, by_deadline);
    if (options.hold && (conn->requests_left <= 0 || !load_goes_on())) {
        conn->holding = true;
        TAILQ_INSERT_TAIL(&held, conn, by_deadline);
        return;
    }
    conn->scheduled_ns = load_now_ns();
    begin_request(conn);
    if (!send_request(conn))
        finish(conn, outcome_of_error(conn, errno));
}

static void on_end(struct conn *conn)
{
    if (options.behaviour == LOAD_SILENT || conn->holding) {
        finish(conn, LOAD_LOST);
        return;
    }
    if (conn->got >= BENCH_ANSWER_BYTES)
        note_worker(conn);
    finish(conn, judge(conn));
}

static void keep_bytes(struct conn *conn, const char *bytes, size_t len)
{
    if (conn->got < LOAD_ANSWER_MAX) {
        size_t room = LOAD_ANSWER_MAX - conn->got;
        memcpy(conn->answer + conn->got, bytes, len < room ? len : room);
    }
    conn->got += len;
    counts.bytes += len;
    if (options.http_path && conn->wanted == 0)
        conn->wanted = http_length(conn);
}

static void read_answer(struct conn *conn)
{
    static char bytes[1 << 18];
    bool stays_open = options.keep > 0 || options.hold;

    for (;;) {
        ssize_t got = recv(conn->fd, bytes, sizeof bytes, 0);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got < 0) {
            finish(conn, outcome_of_error(conn, errno));
            return;
        }
        if (got == 0) {
            on_end(conn);
            return;
        }
        keep_bytes(conn, bytes, (size_t)got);
        if (conn->holding) {
            finish(conn, LOAD_TWICE);
            return;
        }
        if (stays_open && conn->wanted && conn->got >= conn->wanted) {
            next_request(conn);
            return;
        }
    }
}

void conn_on_ready(struct conn *conn, uint32_t events)
{
    int error = 0;
    socklen_t len = sizeof error;

    if (conn->fd < 0)
        return;
    if (!conn->waits_for_output) {
        read_answer(conn);
        return;
    }
    getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error || !(events & EPOLLOUT))
        finish(conn, outcome_of_error(conn, error ? error : ECONNRESET));
    else
        go_ahead(conn, false);
}

uint64_t conn_expire(uint64_t now_ns, bool everything)
{
    struct conn *conn;

    while ((conn = TAILQ_FIRST(&waiting)) != NULL) {
        bool silent = options.behaviour == LOAD_SILENT && conn->connected;
        if (silent && (everything || conn->deadline_ns <= now_ns))
            finish(conn, LOAD_GIVEN_UP);
        else if (conn->deadline_ns <= now_ns)
            finish(conn, LOAD_TIMED_OUT);
        else
            return conn->deadline_ns;
    }
    return UINT64_MAX;
}

void conn_release_held(void)
{
    struct conn *conn;

    while ((conn = TAILQ_FIRST(&held)) != NULL) {
        TAILQ_REMOVE(&held, conn, by_deadline);
        conn->holding = false;
        close(conn->fd);
        conn->fd = -1;
        load_on_free(conn);
    }
}
