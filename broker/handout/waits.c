/* waits.c - see waits.h. */
#include "broker/handout/waits.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/socket.h>

const unsigned waits_limits_ms[LISTENER_WAITS - 1] = {1,   5,   10,   25,   50,   100,
                                                      250, 500, 1000, 2500, 5000, 10000};

/* The kernel notes the handshake as the last moment at which the server sent something (tcp(7),
 * TCP_INFO), and it has sent nothing yet. */
int64_t waits_measure_ms(int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof info;

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
        len < offsetof(struct tcp_info, tcpi_last_ack_sent))
        return -1;
    return info.tcpi_last_data_sent;
}

void waits_note(struct listener *listener, int64_t wait_ms)
{
    unsigned i = 0;

    while (i < LISTENER_WAITS - 1 && wait_ms > waits_limits_ms[i])
        i++;
    listener->waits.count[i]++;
    listener->waits.sum_ms += (uint64_t)wait_ms;
}
