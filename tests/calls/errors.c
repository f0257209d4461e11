/*
 * errors.c - each hooked call with wrong and odd arguments, on each kind of descriptor. Every call
 * gets a descriptor of its own, so that none depends on the one before.
 */
#include <dlfcn.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "calls.h"

#define ADDR(a) ((struct sockaddr *)&(a))
#define LEN(n) (&(socklen_t){(socklen_t)(n)})
#define NONE_FD 900 /* nobody has it */

int fcntl64(int fd, int command, ...);

/* --- the kinds of descriptors */

static int path_socket(int type, const char *name, bool listens)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type, 0);

    if (name) {
        snprintf(addr.sun_path, sizeof addr.sun_path, "%s/%s", folder, name);
        unlink(addr.sun_path);
        if (bind(fd, ADDR(addr), sizeof addr) < 0 || (listens && listen(fd, 5) < 0))
            printf("  cannot make %s: %m\n", name);
    }
    return fd;
}

static int make_minus_one(void)
{
    return -1;
}

static int make_closed(void)
{
    return NONE_FD;
}

static int make_hidden(void) /* where the library keeps its own, as soon as there is a listener */
{
    inet_listener();
    return 1023;
}

static int make_file(void)
{
    char path[200];
    snprintf(path, sizeof path, "%s/file", folder);
    return open(path, O_RDWR | O_CREAT, 0600);
}

static int make_folder(void)
{
    return open(folder, O_RDONLY | O_DIRECTORY);
}

static int make_path_only(void)
{
    return open(folder, O_PATH);
}

static int make_pipe(void)
{
    int pipes[2];
    return pipe(pipes) == 0 ? pipes[0] : -1;
}

static int make_eventfd(void)
{
    return eventfd(0, EFD_NONBLOCK);
}

static int make_epoll(void)
{
    return epoll_create1(0);
}

static int make_udp(void)
{
    return socket(AF_INET, SOCK_DGRAM, 0);
}

static int make_tcp(void)
{
    return inet_socket();
}

static int make_tcp6(void)
{
    return socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
}

static int make_tcp_bound(void)
{
    return inet_bound();
}

static int make_tcp_listener(void)
{
    int fd = inet_listener();
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static int make_tcp_shut(void)
{
    int fd = make_tcp_listener();
    shutdown(fd, SHUT_RDWR);
    return fd;
}

static int make_tcp_client(void)
{
    int fd = inet_listener();
    int client_fd = client_of(fd);
    accept(fd, NULL, NULL);
    fcntl(client_fd, F_SETFL, O_NONBLOCK);
    return client_fd;
}

static int make_tcp_accepted(void)
{
    int fd = inet_listener();
    client_of(fd);
    return accept4(fd, NULL, NULL, SOCK_NONBLOCK);
}

static int make_unix(void)
{
    return path_socket(SOCK_STREAM | SOCK_NONBLOCK, NULL, false);
}

static int make_unix_datagrams(void)
{
    return path_socket(SOCK_DGRAM | SOCK_NONBLOCK, "dgram", false);
}

static int make_unix_bound(void)
{
    return path_socket(SOCK_STREAM | SOCK_NONBLOCK, "bound", false);
}

static int make_unix_listener(void)
{
    return path_socket(SOCK_STREAM | SOCK_NONBLOCK, "stream", true);
}

static int make_packet_listener(void)
{
    return path_socket(SOCK_SEQPACKET | SOCK_NONBLOCK, "packet", true);
}

static int make_pair(void)
{
    int pair[2];
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0 ? pair[0] : -1;
}

static const struct kind {
    const char *name;
    int (*make)(void);
} kinds[] = {
    {"-1", make_minus_one},
    {"a number that nobody has", make_closed},
    {"the highest number", make_hidden},
    {"a file", make_file},
    {"a folder", make_folder},
    {"a folder by O_PATH", make_path_only},
    {"a pipe", make_pipe},
    {"an eventfd", make_eventfd},
    {"an epoll descriptor", make_epoll},
    {"a UDP socket", make_udp},
    {"a TCP socket", make_tcp},
    {"a TCP socket of IPv6", make_tcp6},
    {"a TCP socket that is bound", make_tcp_bound},
    {"a TCP listener", make_tcp_listener},
    {"a TCP listener that was shut down", make_tcp_shut},
    {"a TCP client", make_tcp_client},
    {"an accepted connection", make_tcp_accepted},
    {"an AF_UNIX stream", make_unix},
    {"AF_UNIX datagrams", make_unix_datagrams},
    {"an AF_UNIX stream that is bound", make_unix_bound},
    {"an AF_UNIX listener", make_unix_listener},
    {"an AF_UNIX listener of packets", make_packet_listener},
    {"a socketpair", make_pair},
};

static const struct kind *kind; /* the one whose turn it is */

/* One call on a new descriptor of that kind. */
#define ON(call)                                                                                   \
    do {                                                                                           \
        int fd = kind->make();                                                                     \
        SHOW(call);                                                                                \
        (void)fd;                                                                                  \
        closefrom(3);                                                                              \
    } while (0)

/* --- the calls, by family */

static struct sockaddr_in own, any, refused, foreign, unspecified, strange;
static struct sockaddr_in6 six;
static struct sockaddr_un missing;
static struct sockaddr_storage room;
static int value, one = 1;
static char **volatile nowhere = BAD; /* of which the compiler knows nothing */

static void set_addresses(void)
{
    own = any = unspecified = strange = inet_address(port);
    refused = inet_address(1);
    foreign = inet_address(port);
    inet_pton(AF_INET, "192.0.2.1", &foreign.sin_addr);
    any.sin_family = unspecified.sin_family = AF_UNSPEC;
    any.sin_addr.s_addr = htonl(INADDR_ANY);
    strange.sin_family = 77;
    six = (struct sockaddr_in6){.sin6_family = AF_INET6,
                                .sin6_port = htons((uint16_t)port),
                                .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    missing = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(missing.sun_path, sizeof missing.sun_path, "%s/is/not/there", folder);
}

static void binds(void)
{
    ON(bind(fd, ADDR(own), sizeof own));
    ON(bind(fd, ADDR(own), 0));
    ON(bind(fd, ADDR(own), 2));
    ON(bind(fd, ADDR(own), 15));
    ON(bind(fd, ADDR(own), sizeof room + 1));
    ON(bind(fd, ADDR(own), (socklen_t)-1));
    ON(bind(fd, NULL, sizeof own));
    ON(bind(fd, NULL, 0));
    ON(bind(fd, BAD, sizeof own));
    ON(bind(fd, ADDR(any), sizeof any));
    ON(bind(fd, ADDR(unspecified), sizeof unspecified));
    ON(bind(fd, ADDR(strange), sizeof strange));
    ON(bind(fd, ADDR(foreign), sizeof foreign));
    ON(bind(fd, ADDR(six), sizeof six));
    ON(bind(fd, ADDR(six), 27));
    ON(bind(fd, ADDR(missing), sizeof missing));
    ON(bind(fd, ADDR(missing), sizeof missing + 1));
    ON(syscall(SYS_bind, fd, &own, sizeof own));
    ON(syscall(SYS_bind, fd, BAD, sizeof own));
    ON(listen(fd, 5));
    ON(listen(fd, 0));
    ON(listen(fd, -1));
    ON(syscall(SYS_listen, fd, 5));
}

static void accepts(void)
{
    ON(accept(fd, NULL, NULL));
    ON(accept(fd, ADDR(room), LEN(sizeof room)));
    ON(accept(fd, ADDR(room), LEN(-1)));
    ON(accept(fd, ADDR(room), LEN(0)));
    ON(accept(fd, ADDR(room), NULL));
    ON(accept(fd, ADDR(room), BAD));
    ON(accept(fd, BAD, LEN(sizeof room)));
    ON(accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
    ON(accept4(fd, NULL, NULL, 1));
    ON(accept4(fd, NULL, NULL, -1));
    ON(syscall(SYS_accept, fd, NULL, NULL));
    ON(syscall(SYS_accept4, fd, NULL, NULL, 0));
    ON(syscall(SYS_accept4, fd, NULL, NULL, 1));
}

static void connects(void)
{
    ON(connect(fd, ADDR(refused), sizeof refused));
    ON(connect(fd, ADDR(refused), 0));
    ON(connect(fd, ADDR(refused), 1));
    ON(connect(fd, ADDR(refused), 15));
    ON(connect(fd, ADDR(refused), sizeof room + 1));
    ON(connect(fd, ADDR(refused), (socklen_t)-1));
    ON(connect(fd, NULL, sizeof refused));
    ON(connect(fd, BAD, sizeof refused));
    ON(connect(fd, ADDR(strange), sizeof strange));
    ON(connect(fd, ADDR(six), 27));
    ON(connect(fd, ADDR(missing), sizeof missing));
    ON(connect(fd, ADDR(any), sizeof any));
    ON(syscall(SYS_connect, fd, &refused, sizeof refused));
    for (int how = -1; how < 4; how++)
        ON(shutdown(fd, how));
    ON(syscall(SYS_shutdown, fd, SHUT_RD));
}

static void names(void)
{
    ON(getsockname(fd, ADDR(room), LEN(sizeof room)));
    ON(getsockname(fd, ADDR(room), LEN(-1)));
    ON(getsockname(fd, ADDR(room), LEN(0)));
    ON(getsockname(fd, ADDR(room), NULL));
    ON(getsockname(fd, ADDR(room), BAD));
    ON(getsockname(fd, NULL, LEN(sizeof room)));
    ON(getsockname(fd, NULL, NULL));
    ON(getsockname(fd, BAD, LEN(sizeof room)));
    ON(syscall(SYS_getsockname, fd, &room, LEN(sizeof room)));
    ON(getpeername(fd, ADDR(room), LEN(sizeof room)));
    ON(getpeername(fd, ADDR(room), LEN(-1)));
    ON(getpeername(fd, ADDR(room), LEN(0)));
    ON(getpeername(fd, ADDR(room), NULL));
    ON(getpeername(fd, ADDR(room), BAD));
    ON(getpeername(fd, NULL, NULL));
    ON(getpeername(fd, BAD, LEN(sizeof room)));
    ON(syscall(SYS_getpeername, fd, &room, LEN(sizeof room)));
}

static void options(void)
{
    static const int each[] = {SO_TYPE,  SO_DOMAIN,   SO_PROTOCOL, SO_ACCEPTCONN,
                               SO_ERROR, SO_PEERCRED, 9999};
    struct timeval odd_time = {.tv_usec = 2000000};

    for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
        value = 0;
        ON(getsockopt(fd, SOL_SOCKET, each[i], &value, LEN(sizeof value)));
        printf("  option %d is %d\n", each[i], each[i] == SO_PEERCRED ? 0 : value);
        ON(setsockopt(fd, SOL_SOCKET, each[i], &one, sizeof one));
    }
    ON(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, LEN(-1)));
    ON(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, LEN(0)));
    ON(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, NULL));
    ON(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, BAD));
    ON(getsockopt(fd, SOL_SOCKET, SO_TYPE, NULL, LEN(sizeof value)));
    ON(getsockopt(fd, SOL_SOCKET, SO_TYPE, BAD, LEN(sizeof value)));
    ON(getsockopt(fd, 12345, SO_TYPE, &value, LEN(sizeof value)));
    ON(getsockopt(fd, IPPROTO_TCP, 9999, &value, LEN(sizeof value)));
    ON(getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value, LEN(sizeof value)));
    ON(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, 0));
    ON(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, 3));
    ON(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, (socklen_t)-1));
    ON(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, NULL, sizeof one));
    ON(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, BAD, sizeof one));
    ON(setsockopt(fd, SOL_SOCKET, SO_LINGER, &one, sizeof one));
    ON(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &odd_time, sizeof odd_time));
    ON(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &odd_time, 4));
    ON(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "no such one", 11));
    ON(setsockopt(fd, 12345, SO_TYPE, &one, sizeof one));
    ON(setsockopt(fd, IPPROTO_TCP, 9999, &one, sizeof one));
    ON(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, 1));
    ON(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one));
    ON(syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &value, NULL));
    ON(syscall(SYS_setsockopt, fd, SOL_SOCKET, SO_KEEPALIVE, BAD, 4));
    ON(recv(fd, &value, 1, MSG_DONTWAIT));
    ON(recv(fd, &value, 1, MSG_DONTWAIT | MSG_PEEK));
    ON(recv(fd, &value, 1, MSG_DONTWAIT | MSG_ERRQUEUE));
    ON(recv(fd, BAD, 1, MSG_DONTWAIT));
    ON(recv(fd, &value, 0, MSG_DONTWAIT));
    ON(syscall(SYS_recvfrom, fd, &value, 1, MSG_DONTWAIT, NULL, NULL));
}

static void copies(void)
{
    ON(dup(fd));
    ON(dup2(fd, fd));
    ON(dup2(fd, -1));
    ON(dup2(fd, 1 << 30));
    ON(dup2(fd, 50));
    ON(dup2(NONE_FD + 1, fd));
    ON(dup3(fd, fd, 0));
    ON(dup3(fd, 50, 1));
    ON(dup3(fd, 50, O_CLOEXEC));
    ON(dup3(fd, -1, O_CLOEXEC));
    ON(syscall(SYS_dup, fd));
    ON(syscall(SYS_dup3, fd, fd, 0));
    ON(close(fd));
    ON((close(fd), close(fd)));
    ON(syscall(SYS_close, fd));
    ON(close_range((unsigned)fd, (unsigned)fd, 99));
    ON(close_range((unsigned)fd, (unsigned)fd - 1, 0));
    ON(close_range((unsigned)fd, (unsigned)fd, 0));
    ON(close_range((unsigned)fd, (unsigned)fd, CLOSE_RANGE_CLOEXEC));
    ON(syscall(SYS_close_range, fd, fd, 99));
    ON(fclose(fdopen(fd, "r") ?: fopen("/dev/null", "r")));
}

static void switches(void)
{
    ON(fcntl(fd, F_GETFD));
    ON(fcntl(fd, F_SETFD, -1));
    ON(fcntl(fd, F_GETFL));
    ON(fcntl(fd, F_SETFL, O_NONBLOCK));
    ON(fcntl(fd, F_SETFL, -1));
    ON(fcntl(fd, F_DUPFD, -1));
    ON(fcntl(fd, F_DUPFD, 1 << 30));
    ON(fcntl(fd, F_DUPFD, 50));
    ON(fcntl(fd, F_DUPFD_CLOEXEC, 50));
    ON(fcntl(fd, F_SETOWN, 0));
    ON(fcntl(fd, F_SETOWN, 0x3fffffff));
    ON(fcntl(fd, F_GETOWN));
    ON(fcntl(fd, F_SETSIG, 999));
    ON(fcntl(fd, F_GETSIG));
    ON(fcntl(fd, F_GETPIPE_SZ));
    ON(fcntl(fd, F_GETLK, BAD));
    ON(fcntl(fd, F_GET_SEALS));
    ON(fcntl(fd, 9999, 0));
    ON(fcntl64(fd, F_GETFL));
    ON(fcntl64(fd, F_DUPFD, -1));
    ON(syscall(SYS_fcntl, fd, F_DUPFD, 50));
    ON(ioctl(fd, FIONBIO, &one));
    ON(ioctl(fd, FIONBIO, BAD));
    ON(ioctl(fd, FIOASYNC, BAD));
    ON(ioctl(fd, FIOCLEX));
    ON(ioctl(fd, FIONREAD, &value));
    ON(ioctl(fd, FIONREAD, BAD));
    ON(ioctl(fd, TIOCOUTQ, &value));
    ON(ioctl(fd, 0x8905, &value)); /* SIOCATMARK */
    ON(ioctl(fd, 0x8904, &value)); /* SIOCGPGRP */
    ON(ioctl(fd, 0xdead, &value));
    ON(syscall(SYS_ioctl, fd, FIONBIO, BAD));
}

static int poll_one(int fd, short events)
{
    struct pollfd all = {.fd = fd, .events = events};
    int result = poll(&all, 1, 0);
    return result < 0 ? result : all.revents;
}

static int select_one(int fd)
{
    fd_set set;
    FD_ZERO(&set);
    if (fd >= 0 && fd < FD_SETSIZE)
        FD_SET(fd, &set);
    return select(fd + 1, &set, NULL, NULL, &(struct timeval){0});
}

static int registered(int fd, uint32_t events, int op)
{
    struct epoll_event event = {.events = events};
    int epoll_fd = epoll_create1(0);
    if (op != EPOLL_CTL_MOD && op != EPOLL_CTL_DEL)
        return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    return epoll_ctl(epoll_fd, op, fd, &event);
}

static void waits(void)
{
    struct epoll_event event = {.events = EPOLLIN};

    ON(poll_one(fd, 0));
    ON(poll_one(fd, POLLIN));
    ON(poll_one(fd, POLLPRI | POLLRDHUP));
    ON(select_one(fd));
    ON(registered(fd, EPOLLIN, EPOLL_CTL_ADD));
    ON(registered(fd, EPOLLIN | EPOLLET | EPOLLONESHOT, EPOLL_CTL_ADD));
    ON(registered(fd, EPOLLIN | EPOLLEXCLUSIVE, EPOLL_CTL_ADD));
    ON(registered(fd, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT, EPOLL_CTL_ADD));
    ON(registered(fd, EPOLLIN, EPOLL_CTL_MOD));
    ON(registered(fd, EPOLLIN, EPOLL_CTL_DEL));
    ON(epoll_ctl(fd, EPOLL_CTL_ADD, 0, &event));
    ON(epoll_ctl(fd, EPOLL_CTL_ADD, fd, &event));
    ON(epoll_ctl(fd, 77, fd, &event));
    ON(epoll_wait(fd, &event, 1, 0));
    ON(epoll_wait(fd, &event, 0, 0));
    ON(epoll_wait(fd, BAD, 1, 0));
    ON(epoll_pwait(fd, &event, -1, 0, NULL));
    ON(epoll_pwait2(fd, &event, 1, &(struct timespec){0}, NULL));
    ON(syscall(SYS_epoll_pwait, fd, &event, 1, 0, NULL, 8));
}

static int spawn_with(int fd, int new_fd)
{
    posix_spawn_file_actions_t actions;
    pid_t pid = 0;
    int status = -1;
    char *arguments[] = {"true", NULL};

    posix_spawn_file_actions_init(&actions);
    int result = posix_spawn_file_actions_adddup2(&actions, fd, new_fd);
    if (result == 0)
        result = posix_spawn(&pid, "/bin/true", &actions, NULL, arguments, NULL);
    if (result == 0)
        waitpid(pid, &status, 0);
    printf("  ends with %d\n", status);
    posix_spawn_file_actions_destroy(&actions);
    errno = 0;
    return result;
}

static void programs(void)
{
    char *arguments[] = {"x", NULL};

    ON(fexecve(fd, arguments, arguments + 1));
    ON(execveat(fd, "", arguments, arguments + 1, AT_EMPTY_PATH));
    ON(execveat(fd, "is-not-there", arguments, arguments + 1, 0));
    ON(unlinkat(fd, "is-not-there", 0));
    ON(unlinkat(fd, "is-not-there", 99));
    ON(unlinkat(fd, "", 0));
    ON(unlinkat(fd, BAD, 0));
    ON(spawn_with(fd, 50));
    ON(spawn_with(fd, -1));
}

/* --- calls that no descriptor is given to */

static void without_descriptor(void)
{
    char *arguments[] = {"x", NULL};
    struct rlimit limit;
    pid_t pid;

    SHOW(socket(-1, SOCK_STREAM, 0));
    SHOW(socket(77, SOCK_STREAM, 0));
    SHOW(socket(AF_INET, 99, 0));
    SHOW(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    SHOW(socket(AF_UNIX, SOCK_STREAM, 77));
    SHOW(poll(BAD, 1, 0));
    SHOW(poll(NULL, 1u << 30, 0));
    SHOW(ppoll(NULL, 0, &(struct timespec){0, -1}, NULL));
    SHOW(select(-1, NULL, NULL, NULL, NULL));
    SHOW(select(10, BAD, NULL, NULL, &(struct timeval){0}));
    SHOW(close_range(5, 4, 0));
    SHOW(unlink(NULL));
    SHOW(unlink(BAD));
    SHOW(unlink(""));
    SHOW(unlink(folder));
    SHOW(unlink("/is-not-there"));
    SHOW(remove(""));
    SHOW(remove("/is-not-there"));
    SHOW(remove(folder));
    mkdir(folder, 0700);
    SHOW(setrlimit(99, &(struct rlimit){0}));
    SHOW(setrlimit(RLIMIT_NOFILE, BAD));
    SHOW(setrlimit(RLIMIT_NOFILE, &(struct rlimit){10, 5}));
    SHOW(prlimit(-1, RLIMIT_NOFILE, NULL, &limit));
    SHOW(prlimit(0, 99, NULL, &limit));
    SHOW(prlimit(0, RLIMIT_NOFILE, BAD, NULL));
    SHOW(prlimit(0, RLIMIT_NOFILE, NULL, BAD));
    SHOW(execve(NULL, arguments, arguments + 1));
    SHOW(execve((char *)nowhere, arguments, arguments + 1));
    SHOW(execve("", arguments, arguments + 1));
    SHOW(execve("/is-not-there", arguments, arguments + 1));
    SHOW(execve("/bin/true", nowhere, arguments + 1));
    SHOW(execve("/bin/true", arguments, nowhere));
    SHOW(execv("/", arguments));
    SHOW(execvp("", arguments));
    SHOW(execvp("is-not-there", arguments));
    SHOW(execvpe("is-not-there", arguments, arguments + 1));
    SHOW(execl("/is-not-there", "x", NULL));
    SHOW(execlp("is-not-there", "x", NULL));
    SHOW(execle("/is-not-there", "x", NULL, arguments + 1));
    SHOW(posix_spawn(&pid, "/is-not-there", NULL, NULL, arguments, NULL));
    SHOW(posix_spawnp(&pid, "is-not-there", NULL, NULL, arguments, NULL));
    SHOW(dlopen("/is/not/there", RTLD_NOW) != NULL);
    SHOW(dlopen("libc.so.6", 0) != NULL);
    SHOW(syscall(-1));
    SHOW(syscall(100000));
}

void cases_errors(void)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } families[] = {
        {"bind", binds},      {"accept", accepts}, {"connect", connects},
        {"name", names},      {"option", options}, {"copy", copies},
        {"switch", switches}, {"wait", waits},     {"program", programs},
    };

    set_addresses();
    for (kind = kinds; kind < kinds + sizeof kinds / sizeof kinds[0]; kind++) {
        for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
            printf("%s: %s\n", kind->name, families[i].name);
            families[i].run();
        }
    }
    puts("no descriptor");
    without_descriptor();
}
