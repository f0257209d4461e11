/*
 * worker_floods.c links | channel - a worker that was broken into sends the broker what it can, as
 * fast as it can: claims of its own listener over link after link, which are refused, or noise over
 * its channel. What the broker does not read keeps it waiting.
 */
#include <stdbool.h>

#include "hostile.h"

static struct sockaddr_un name = {.sun_family = AF_UNIX};
static socklen_t name_len;

static void claim_again(void)
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
    bool over_links = argc > 1 && strcmp(argv[1], "links") == 0;

    name_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                           (size_t)snprintf(name.sun_path + 1, 90, "hostile%d", (int)getpid()));
    struct hostile_share share =
        hostile_claim(hostile_knock(), &name, name_len, socket(AF_UNIX, SOCK_STREAM, 0));
    puts("attacks");
    fflush(stdout);
    if (over_links)
        claim_again();
    make_noise(share.channel_fd);
}
