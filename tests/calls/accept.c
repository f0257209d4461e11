/* accept.c - accept and accept4. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "calls.h"

static void shapes(int fd)
{
    static const socklen_t rooms[] = {0, 1, 2, 8, 15, 16, 17, 28, 110, 128};
    unsigned char room[256];

    puts("accept, address");
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        socklen_t len = rooms[i];
        int client_fd = client_of(fd);
        memset(room, UNTOUCHED, sizeof room);
        int conn_fd = (int)SHOW(accept(fd, (struct sockaddr *)room, &len));
        show_address("peer", room, len, rooms[i]);
        printf("  behind it: %02x\n", room[rooms[i] < 16 ? rooms[i] : 16]);
        show_flags(conn_fd);
        show_name(conn_fd);
        close(conn_fd);
        close(client_fd);
    }
    socklen_t len = 3;
    int client_fd = client_of(fd);
    int conn_fd = (int)SHOW(accept(fd, NULL, &len));
    printf("  length %u\n", len);
    close(conn_fd);
    close(client_fd);
}

/* A connection with a bad argument is lost natively and stays queued with the shim: nothing is
 * asked about it. */
static void bad_arguments(void)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    socklen_t negative = (socklen_t)-5;
    int fd = inet_listener();
    int clients[4];

    puts("accept, bad arguments");
    fcntl(fd, F_SETFL, O_NONBLOCK);
    SHOW(accept(-1, NULL, NULL));
    SHOW(accept(fd, NULL, NULL));
    SHOW(accept(fd, (struct sockaddr *)&peer, NULL));
    SHOW(accept(fd, BAD, &len));
    SHOW(accept(fd, (struct sockaddr *)&peer, &negative));
    SHOW(accept4(fd, NULL, NULL, 1));
    SHOW(accept4(fd, NULL, NULL, SOCK_CLOEXEC | 4));
    for (int i = 0; i < 4; i++)
        clients[i] = client_of(fd);
    SHOW(accept(fd, (struct sockaddr *)&peer, NULL));
    wait_readable(fd);
    SHOW(accept(fd, BAD, &len));
    wait_readable(fd);
    SHOW(accept(fd, (struct sockaddr *)&peer, BAD));
    wait_readable(fd);
    SHOW(accept(fd, (struct sockaddr *)&peer, &negative));
    for (int i = 0; i < 4; i++)
        close(clients[i]);
    close(fd);
}

static void flags(int fd)
{
    static const int sets[] = {0, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_CLOEXEC | SOCK_NONBLOCK};

    puts("accept4, flags");
    for (int listener_nonblock = 0; listener_nonblock < 2; listener_nonblock++) {
        fcntl(fd, F_SETFL, listener_nonblock ? O_NONBLOCK : 0);
        for (size_t i = 0; i < 4; i++) {
            int client_fd = client_of(fd);
            int conn_fd = (int)SHOW(accept4(fd, NULL, NULL, sets[i]));
            show_flags(conn_fd);
            close(conn_fd);
            close(client_fd);
        }
    }
    int client_fd = client_of(fd);
    int conn_fd = (int)SHOW(syscall(SYS_accept4, fd, NULL, NULL, SOCK_CLOEXEC));
    show_flags(conn_fd);
    close(conn_fd);
    close(client_fd);
    SHOW(accept(fd, NULL, NULL));
    fcntl(fd, F_SETFL, 0);
}

static void nothing(int number)
{
    (void)number;
}

static void interrupted(int fd)
{
    struct itimerval soon = {.it_value.tv_usec = 20000};
    struct timeval timeout = {.tv_usec = 30000};
    struct timeval later = {.tv_sec = 20}; /* than the signal, on the busiest machine */
    struct timeval none = {0};

    puts("accept, ended by a signal and by time");
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = nothing}, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    SHOW(accept(fd, NULL, NULL));
    SHOW(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout));
    SHOW(accept(fd, NULL, NULL));
    SHOW(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &later, sizeof later));
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = nothing, .sa_flags = SA_RESTART}, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    SHOW(accept(fd, NULL, NULL));
    SHOW(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none));
}

static void full_table(int fd)
{
    struct rlimit limit;
    struct rlimit small;
    int client_fd = client_of(fd);
    int next_fd = dup(0);

    puts("accept, fd table full");
    close(next_fd);
    getrlimit(RLIMIT_NOFILE, &limit);
    small = limit;
    small.rlim_cur = (rlim_t)next_fd;
    SHOW(setrlimit(RLIMIT_NOFILE, &small));
    SHOW(accept(fd, NULL, NULL));
    SHOW(accept4(fd, NULL, NULL, SOCK_NONBLOCK));
    SHOW(dup(fd));
    SHOW(socket(AF_INET, SOCK_STREAM, 0));
    SHOW(setrlimit(RLIMIT_NOFILE, &limit));
    int conn_fd = (int)SHOW(accept(fd, NULL, NULL));
    close(conn_fd);
    close(client_fd);
}

void cases_accept(void)
{
    int fd = inet_listener();

    shapes(fd);
    flags(fd);
    interrupted(fd);
    full_table(fd);
    close(fd);
    bad_arguments();
}
