/* static.c - listens on 127.0.0.1, port argv[1], and waits; linked statically, so nothing can be
 * preloaded. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    addr.sin_port = htons((in_port_t)(argc > 1 ? atoi(argv[1]) : 0));
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0 && listen(fd, 5) == 0)
        for (;;)
            pause();
    for (;;)
        pause();
}
