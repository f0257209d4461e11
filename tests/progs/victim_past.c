/*
 * victim_past.c - servers that call libc's own functions, which no preloaded library stands in
 * front of. tests/parity must see it: without these it could not fail.
 */
#include <dlfcn.h>

#include "victim.h"

static void *libc_function(const char *name)
{
    void *libc = dlopen("libc.so.6", RTLD_NOW);
    void *function = libc ? dlsym(libc, name) : NULL;
    if (!function)
        fail(name);
    return function;
}

static int past_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    int (*function)(int, const struct sockaddr *, socklen_t) = libc_function("bind");
    return function(fd, addr, len);
}

static int past_listen(int fd, int backlog)
{
    int (*function)(int, int) = libc_function("listen");
    return function(fd, backlog);
}

static int past_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
    int (*function)(int, struct sockaddr *, socklen_t *) = libc_function("accept");
    return function(fd, addr, len);
}

/* Serves alone: the second copy waits until the address is free. */
static void everything(int port, const char *argument)
{
    struct sockaddr_in addr = loopback(port);
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof peer;
    int fd = make_socket();
    (void)argument;
    while (past_bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0)
        usleep(100000);
    MUST(past_listen(fd, 64));
    for (;; len = sizeof peer)
        answer(MUST(past_accept(fd, (struct sockaddr *)&peer, &len)), &peer);
}

/* Every other connection by the kernel's own accept, which does not know what a channel is. */
static void one_accept(int port, const char *argument)
{
    struct sockaddr_storage peer;
    int fd = make_listener(port);
    (void)argument;
    for (;;) {
        past_accept(fd, NULL, NULL);
        answer(MUST(accept_one(fd, &peer)), &peer);
    }
}

static const struct victim_mode modes[] = {
    {"everything", everything},
    {"accept", one_accept},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return run_mode(modes, argc, argv);
}
