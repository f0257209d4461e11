/* serve.c - see serve.h and protocol.h. */
#include "serve.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "protocol.h"

static char answer[BENCH_ANSWER_BYTES + 1];
static const char zeros[1 << 16];

void serve_init(void)
{
    snprintf(answer, sizeof answer, "?%04x\n", (unsigned)getpid() & 0xffffu);
}

static void sleep_us(long us)
{
    struct timespec rest = {us / 1000000, us % 1000000 * 1000};

    while (nanosleep(&rest, &rest) < 0 && errno == EINTR)
        ;
}

static bool send_all(int conn_fd, const char *bytes, size_t len_bytes)
{
    while (len_bytes > 0) {
        ssize_t sent = send(conn_fd, bytes, len_bytes, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            poll(&(struct pollfd){.fd = conn_fd, .events = POLLOUT}, 1, -1);
        else if (sent < 0)
            return false;
        else {
            bytes += sent;
            len_bytes -= (size_t)sent;
        }
    }
    return true;
}

static bool send_bulk(int conn_fd)
{
    for (size_t sent = 0; sent < BENCH_BULK_BYTES; sent += sizeof zeros)
        if (!send_all(conn_fd, zeros, sizeof zeros))
            return false;
    return true;
}

bool serve_request(int conn_fd)
{
    char type;
    ssize_t got = recv(conn_fd, &type, 1, 0);

    if (got < 0 && errno == EAGAIN)
        return true;
    if (got <= 0)
        return false;
    int kind = tolower((unsigned char)type);
    if (kind == 'l' || kind == 'h')
        sleep_us(kind == 'l' ? BENCH_LIGHT_US : BENCH_HEAVY_US);
    answer[0] = type;
    if (!send_all(conn_fd, answer, BENCH_ANSWER_BYTES) || (kind == 'b' && !send_bulk(conn_fd)))
        return false;
    return isupper((unsigned char)type);
}

void serve_connection(int conn_fd)
{
    while (serve_request(conn_fd))
        ;
    close(conn_fd);
}
