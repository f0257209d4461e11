/*
 * worker_floods.c links | leaves | channel - a worker that was broken into sends the broker what it
 * can, as fast as it can: claims of its own listener over link after link, which are refused, the
 * same from four processes that do not wait for the answer, or noise over its channel.
 */
#include <stdbool.h>

#include "hostile.h"

static struct sockaddr_un name = {.sun_family = AF_UNIX};
static socklen_t name_len;

static void claim_again(bool waits)
{
    struct wire_claim claim = {
        .head = WIRE_HEAD(WIRE_CLAIM), .auth = hostile_auth(), .address.len_bytes = name_len};
    struct wire_grant grant;
    int socket_fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memcpy(claim.address.bytes, &name, name_len);
    for (;;) {
        int link_fd = hostile_knock();
        if (link_fd < 0)
            continue;
        fdpass_send(link_fd, &claim, sizeof claim, socket_fd, 0);
        if (waits)
            recv(link_fd, &grant, sizeof grant, 0);
        close(link_fd);
    }
}

static void make_noise(int channel_fd)
{
    for (;;)
        send(channel_fd, "noise", 5, MSG_NOSIGNAL);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    name_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                           (size_t)snprintf(name.sun_path + 1, 90, "hostile%d", (int)getpid()));
    struct hostile_share share =
        hostile_claim(hostile_knock(), &name, name_len, socket(AF_UNIX, SOCK_STREAM, 0));
    puts("attacks");
    fflush(stdout);
    if (strcmp(what, "links") == 0)
        claim_again(true);
    if (strcmp(what, "leaves") == 0 && fork() + fork() >= 0)
        claim_again(false);
    make_noise(share.channel_fd);
}
