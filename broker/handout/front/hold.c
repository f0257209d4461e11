/* hold.c - see hold.h. */
#include "broker/handout/front/hold.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "broker/handout/front/request.h"

#define DEFER_S 1 /* the kernel's least: it hands a silent client over after the next ACK */

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

struct held_look hold_look(struct held *held, bool is_half_closed)
{
    static uint8_t bytes[REQUEST_MAX];
    enum config_hold kind = held->listener->front.hold;
    size_t room = kind == HOLD_DATA ? 1 : sizeof bytes;
    ssize_t got = recv(held->fd, bytes, room, MSG_PEEK | MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return (struct held_look){.result = LOOK_MORE};
    if (got <= 0)
        return (struct held_look){LOOK_CLOSE, HELD_HUNG_UP};
    bool is_done = is_half_closed || request_is_complete(kind, bytes, (size_t)got);
    return (struct held_look){.result = is_done ? LOOK_DONE : LOOK_MORE};
}
