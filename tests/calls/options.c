/* options.c - getsockopt and setsockopt on a bound socket, a listener and a connection of it. */
#include <linux/filter.h>

#include "calls.h"

struct option {
    int level;
    int name;
    const char *text;
};

#define S(name)                                                                                    \
    {                                                                                              \
        SOL_SOCKET, name, #name                                                                    \
    }
#define T(name)                                                                                    \
    {                                                                                              \
        IPPROTO_TCP, name, #name                                                                   \
    }
#define I(name)                                                                                    \
    {                                                                                              \
        IPPROTO_IP, name, #name                                                                    \
    }
#define V(name)                                                                                    \
    {                                                                                              \
        IPPROTO_IPV6, name, #name                                                                  \
    }

static const struct option options[] = {
    S(SO_DEBUG),
    S(SO_REUSEADDR),
    S(SO_TYPE),
    S(SO_ERROR),
    S(SO_DONTROUTE),
    S(SO_BROADCAST),
    S(SO_SNDBUF),
    S(SO_RCVBUF),
    S(SO_KEEPALIVE),
    S(SO_OOBINLINE),
    S(SO_NO_CHECK),
    S(SO_PRIORITY),
    S(SO_LINGER),
    S(SO_REUSEPORT),
    S(SO_PASSCRED),
    S(SO_RCVLOWAT),
    S(SO_SNDLOWAT),
    S(SO_RCVTIMEO),
    S(SO_SNDTIMEO),
    S(SO_BINDTODEVICE),
    S(SO_TIMESTAMP),
    S(SO_TIMESTAMPNS),
    S(SO_ACCEPTCONN),
    S(SO_PROTOCOL),
    S(SO_DOMAIN),
    S(SO_MARK),
    S(SO_RXQ_OVFL),
    S(SO_PEEK_OFF),
    S(SO_LOCK_FILTER),
    S(SO_BUSY_POLL),
    S(SO_MAX_PACING_RATE),
    S(SO_ZEROCOPY),
    S(SO_PEERCRED),
    S(SO_PEERSEC),
    S(SO_PEERGROUPS),
    S(SO_ATTACH_FILTER),
    S(SO_WIFI_STATUS),
    S(SO_NOFCS),
    {SOL_SOCKET, 9999, "9999"},
    T(TCP_NODELAY),
    T(TCP_MAXSEG),
    T(TCP_CORK),
    T(TCP_KEEPIDLE),
    T(TCP_KEEPINTVL),
    T(TCP_KEEPCNT),
    T(TCP_SYNCNT),
    T(TCP_LINGER2),
    T(TCP_DEFER_ACCEPT),
    T(TCP_WINDOW_CLAMP),
    T(TCP_QUICKACK),
    T(TCP_CONGESTION),
    T(TCP_USER_TIMEOUT),
    T(TCP_FASTOPEN),
    T(TCP_NOTSENT_LOWAT),
    T(TCP_SAVE_SYN),
    T(TCP_FASTOPEN_CONNECT),
    T(TCP_ULP),
    T(TCP_THIN_LINEAR_TIMEOUTS),
    {IPPROTO_TCP, 999, "TCP 999"},
    I(IP_TOS),
    I(IP_TTL),
    I(IP_HDRINCL),
    I(IP_OPTIONS),
    I(IP_RECVOPTS),
    I(IP_PKTINFO),
    I(IP_MTU_DISCOVER),
    I(IP_RECVERR),
    I(IP_RECVTTL),
    I(IP_RECVTOS),
    I(IP_MTU),
    I(IP_FREEBIND),
    I(IP_TRANSPARENT),
    I(IP_BIND_ADDRESS_NO_PORT),
    I(IP_MINTTL),
    I(IP_MULTICAST_TTL),
    V(IPV6_V6ONLY),
    V(IPV6_UNICAST_HOPS),
    V(IPV6_TCLASS),
    V(IPV6_RECVPKTINFO),
    {999, 1, "level 999"},
};
#define OPTIONS (sizeof options / sizeof options[0])

static void get(int fd, const struct option *option, socklen_t room)
{
    unsigned char value[64];
    socklen_t len = room;

    memset(value, UNTOUCHED, sizeof value);
    errno = 0;
    int result = getsockopt(fd, option->level, option->name, value, &len);
    printf("  get %s room %u = %d %s length %u:", option->text, room, result,
           errno ? strerrorname_np(errno) : "-", len);
    for (size_t i = 0; i <= room && i < 24; i++)
        printf(" %02x", value[i]);
    putchar('\n');
}

static void get_all(const char *what, int fd)
{
    static const socklen_t rooms[] = {0, 1, 3, 4, 8, 16, 60};

    printf("getsockopt, %s\n", what);
    for (size_t i = 0; i < OPTIONS; i++)
        for (size_t k = 0; k < sizeof rooms / sizeof rooms[0]; k++)
            get(fd, &options[i], rooms[k]);
}

/* Values that do nobody harm, in good sizes and bad. */
static void set_all(const char *what, int fd)
{
    struct {
        int number[4];
    } value = {{1, 5, 0, 0}};

    printf("setsockopt, %s\n", what);
    for (size_t i = 0; i < OPTIONS; i++) {
        if (options[i].name == SO_LOCK_FILTER && options[i].level == SOL_SOCKET)
            continue; /* for ever */
        for (socklen_t len = 0; len <= 16; len += len < 4 ? 1 : 4) {
            errno = 0;
            int result = setsockopt(fd, options[i].level, options[i].name, &value, len);
            printf("  set %s length %u = %d %s\n", options[i].text, len, result,
                   errno ? strerrorname_np(errno) : "-");
        }
        errno = 0;
        int result = setsockopt(fd, options[i].level, options[i].name, BAD, 4);
        printf("  set %s bad = %d %s\n", options[i].text, result,
               errno ? strerrorname_np(errno) : "-");
        get(fd, &options[i], 16);
    }
}

static void bad_arguments(int fd)
{
    int value = 1;
    socklen_t len = sizeof value;
    socklen_t negative = (socklen_t)-1;

    puts("getsockopt and setsockopt, bad arguments");
    SHOW(getsockopt(-1, SOL_SOCKET, SO_TYPE, &value, &len));
    SHOW(getsockopt(0, SOL_SOCKET, SO_TYPE, &value, &len));
    SHOW(getsockopt(fd, SOL_SOCKET, SO_TYPE, BAD, &len));
    SHOW(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, BAD));
    SHOW(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, NULL));
    SHOW(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &negative));
    SHOW(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, BAD, &len));
    SHOW(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, BAD));
    SHOW(setsockopt(-1, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof value));
    SHOW(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, NULL, sizeof value));
    SHOW(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, (socklen_t)-1));
    SHOW(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, BAD, 16));
    SHOW(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &value, 3));
}

static void filter(int fd)
{
    struct sock_filter code[] = {{BPF_RET | BPF_K, 0, 0, 0xffff}};
    struct sock_fprog program = {1, code};

    puts("filter");
    SHOW(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
    get(fd, &(struct option){SOL_SOCKET, SO_GET_FILTER, "SO_GET_FILTER"}, 0);
    SHOW(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, NULL, 0));
    SHOW(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, NULL, 0));
}

void cases_options(void)
{
    int fd = inet_bound();

    get_all("bound", fd);
    listen(fd, 16);
    get_all("listening", fd);
    bad_arguments(fd);
    filter(fd);
    set_all("listening", fd);
    int client_fd = client_of(fd);
    struct timeval none = {0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
    int conn_fd = accept(fd, NULL, NULL);
    get_all("connection", conn_fd);
    close(conn_fd);
    close(client_fd);
    close(fd);
}
