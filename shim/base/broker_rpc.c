/* broker_rpc.c - the shim's side of a link. Knows the messages, not what they are for. */
#include "shim/base/broker_rpc.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/fdpass.h"
#include "proto/scoreboard.h"
#include "shim/base/env.h"
#include "shim/base/next.h"

/* A stranger may have bound the abstract name while no broker lived: only the broker's own user
 * gets our token. */
static bool peer_is_broker(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;

    if (NEXT(getsockopt)(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return false;
    return peer.uid == 0 || peer.uid == geteuid() || peer.uid == env.owner_uid;
}

static int connect_once(const struct sockaddr_un *addr, socklen_t len, int deadline_ms)
{
    struct timeval deadline = {deadline_ms / 1000, deadline_ms % 1000 * 1000};
    int fd = NEXT(socket)(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    NEXT(setsockopt)(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
    NEXT(setsockopt)(fd, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof deadline);
    int result;
    do
        result = NEXT(connect)(fd, (const struct sockaddr *)addr, len);
    while (result < 0 && errno == EINTR);
    if (result == 0 && !peer_is_broker(fd)) {
        errno = EPERM;
        result = -1;
    }
    if (result == 0)
        return fd;
    int saved = errno;
    NEXT(close)(fd);
    errno = saved;
    return -1;
}

int link_open(void)
{
    return link_open_within(LINK_DEADLINE_S * 1000);
}

static int connect_by_name(int deadline_ms)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t len = strlen(env.rendezvous);

    memcpy(addr.sun_path + 1, env.rendezvous, len);
    return connect_once(&addr, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len),
                        deadline_ms);
}

static int connect_by_file(int deadline_ms)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t len = strlen(env.broker);

    memcpy(addr.sun_path, env.broker, len);
    if (len + sizeof WIRE_LINK_SUFFIX <= sizeof addr.sun_path)
        memcpy(addr.sun_path + len, WIRE_LINK_SUFFIX, sizeof WIRE_LINK_SUFFIX);
    int fd = connect_once(&addr, sizeof addr, deadline_ms);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    /* A broker of an older version takes messages at the path itself. */
    memset(addr.sun_path + len, 0, sizeof addr.sun_path - len);
    return connect_once(&addr, sizeof addr, deadline_ms);
}

/* The abstract name is random: only workers that the broker started know it. */
__attribute__((cold)) int link_open_within(int deadline_ms)
{
    int old_state;
    int fd = -1;

    if (env.broken) {
        errno = ENAMETOOLONG;
        return -1;
    }
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old_state);
    if (env.rendezvous[0])
        fd = connect_by_name(deadline_ms);
    bool is_hidden = fd < 0 && env.rendezvous[0] && errno == EPERM;
    if (fd < 0)
        fd = connect_by_file(deadline_ms);
    if (fd < 0 && is_hidden)
        errno = EPERM; /* says more than that the file is closed to us */
    pthread_setcancelstate(old_state, NULL);
    return fd;
}

/* Receives one message of this type; *fd as it came. */
static int receive(int link_fd, enum wire_type type, void *bytes, size_t size_bytes, int *fd)
{
    ssize_t got;

    do
        got = fdpass_recv(link_fd, bytes, size_bytes, fd, MSG_CMSG_CLOEXEC, NULL);
    while (got < 0 && errno == EINTR);
    if (got < 0) {
        if (errno == EAGAIN)
            errno = ETIMEDOUT;
        return -1;
    }
    if (wire_check(bytes, (size_t)got, *fd >= 0) == (int)type)
        return 0;
    if (*fd >= 0)
        NEXT(close)(*fd);
    *fd = -1;
    errno = got == 0 ? ECONNRESET : EPROTO;
    return -1;
}

static int receive_grant(int link_fd, struct link_grant *grant)
{
    struct wire_grant answer;
    struct wire_head head;

    if (receive(link_fd, WIRE_GRANT, &answer, sizeof answer, &grant->channel_fd) < 0)
        return -1;
    grant->verdict = (enum wire_verdict)answer.verdict;
    grant->error = answer.error;
    grant->channel = answer.channel;
    grant->backlog = (int)answer.backlog;
    grant->flags = answer.flags;
    if (grant->verdict != WIRE_SHARED)
        return 0;
    if (receive(link_fd, WIRE_SHADOW, &head, sizeof head, &grant->shadow_fd) < 0)
        return -1;
    return receive(link_fd, WIRE_BOARD, &head, sizeof head, &grant->board_fd);
}

int link_ask(int link_fd, const void *request, size_t len_bytes, int fd, struct link_grant *grant)
{
    int old_state;
    int result;

    *grant = (struct link_grant){.channel_fd = -1, .shadow_fd = -1, .board_fd = -1};
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old_state);
    do
        result = fdpass_send(link_fd, request, len_bytes, fd, 0);
    while (result < 0 && errno == EINTR);
    if (result == 0)
        result = receive_grant(link_fd, grant);
    pthread_setcancelstate(old_state, NULL);
    if (result < 0)
        link_grant_finish(grant);
    return result;
}

int link_ask_once(int deadline_ms, const void *request, size_t len_bytes, int fd,
                  struct link_grant *grant)
{
    int link_fd = link_open_within(deadline_ms);

    if (link_fd < 0)
        return -1;
    int result = link_ask(link_fd, request, len_bytes, fd, grant);
    int saved = errno;
    NEXT(close)(link_fd);
    errno = saved;
    return result;
}

int link_fetch_proxied(int deadline_ms)
{
    struct wire_proxied request = {.head = WIRE_HEAD(WIRE_PROXIED), .auth = env.auth};
    struct wire_head answer;
    int fd = -1;
    int old_state;
    int link_fd = link_open_within(deadline_ms);

    if (link_fd < 0)
        return -1;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old_state);
    if (fdpass_send(link_fd, &request, sizeof request, -1, 0) == 0 &&
        receive(link_fd, WIRE_BOARD, &answer, sizeof answer, &fd) < 0)
        fd = -1;
    NEXT(close)(link_fd);
    pthread_setcancelstate(old_state, NULL);
    return fd;
}

int link_attach(uint64_t channel, uint32_t flags, int fd, struct link_grant *grant)
{
    struct wire_attach request = {
        .head = WIRE_HEAD(WIRE_ATTACH), .auth = env.auth, .channel = channel, .flags = flags};

    return link_ask_once(LINK_DEADLINE_S * 1000, &request, sizeof request, fd, grant);
}

static void close_kept(int *fd)
{
    if (*fd >= 0)
        NEXT(close)(*fd);
    *fd = -1;
}

void link_grant_finish(struct link_grant *grant)
{
    int saved = errno;
    close_kept(&grant->channel_fd);
    close_kept(&grant->shadow_fd);
    close_kept(&grant->board_fd);
    errno = saved;
}

void link_grant_refuse(const struct link_grant *grant, int channel_fd)
{
    int saved = errno;
    struct wire_head close_message = WIRE_HEAD(WIRE_CLOSE);
    struct board *board =
        mmap(NULL, BOARD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, grant->board_fd, 0);

    if (board != MAP_FAILED) {
        if (atomic_fetch_sub(&board->worker.holders, 1) == 1 && channel_fd >= 0)
            fdpass_send(channel_fd, &close_message, sizeof close_message, -1, MSG_DONTWAIT);
        munmap(board, BOARD_SIZE);
    }
    errno = saved;
}

static const char *reason(int error)
{
    switch (error) {
    case ECONNREFUSED: return "no broker listens there";
    case ENOENT: return "no such socket";
    case EACCES: return "permission denied: this process and the broker have different users";
    case EPERM:
        return "a process of another user listens there, or a user namespace hides the broker's "
               "user";
    case EAFNOSUPPORT: return "a filter forbids this process AF_UNIX sockets";
    case ETIMEDOUT: return "the broker does not answer";
    case ECONNRESET: return "the broker refused this process";
    case ENAMETOOLONG: return "the path is too long for a socket";
    case ENOTDIR: return "a component of the path is not a folder";
    case EPROTO: return "the broker has another version";
    case EMFILE:
    case ETOOMANYREFS: return "too many files are open or in flight";
    default: return "the connection failed";
    }
}

static const char *remedy(int error)
{
    switch (error) {
    case EACCES: return "; run the server as the broker's user, or unset SSHIM_BROKER";
    case EPERM: return "; run the server as the broker's user, or map that user into the namespace";
    case EAFNOSUPPORT:
        return "; let the filter pass them (systemd: add AF_UNIX to RestrictAddressFamilies)";
    case EMFILE:
    case ETOOMANYREFS: return "; raise the limit (ulimit -n)";
    default: return "; start one with 'sshim run -w 0 --control PATH' or unset SSHIM_BROKER";
    }
}

static void say(const char *const *parts, int count)
{
    struct iovec lines[8];
    int saved = errno;

    for (int i = 0; i < count; i++)
        lines[i] = (struct iovec){(void *)(uintptr_t)parts[i], strlen(parts[i])};
    if (writev(STDERR_FILENO, lines, count) < 0)
        errno = saved; /* no broker to tell */
    errno = saved;
}

__attribute__((cold)) void link_complain(int error, int waited_s)
{
    char waited[] = " (waited 0 s for it)";

    waited[sizeof " (waited " - 1] = (char)('0' + waited_s);
    const char *parts[] = {
        "sshim: cannot join the broker at ", env.broker,    ": ", reason(error),
        waited_s > 0 ? waited : "",          remedy(error), "\n",
    };

    say(parts, sizeof parts / sizeof parts[0]);
}

void link_complain_full(void)
{
    static _Atomic int said;
    const char *text =
        "sshim: this process shares 256 listeners, the most it can; further ones are private, and "
        "their addresses are in use for other copies; give each copy its own by {id}\n";

    if (!atomic_exchange(&said, true))
        say(&text, 1);
}

void link_complain_kind(const char *kind)
{
    static _Atomic int said;
    const char *parts[] = {
        "sshim: cannot bind: the address is in use, and copies share listeners of TCP and AF_UNIX, "
        "not of ",
        kind,
        "; run one copy of this server (sshim run -w 1)\n",
    };

    if (!atomic_exchange(&said, true))
        say(parts, sizeof parts / sizeof parts[0]);
}
