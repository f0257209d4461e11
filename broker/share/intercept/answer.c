/* answer.c - see answer.h. A call that does not concern us, or cannot be read, is left to the
 * kernel, which gives its usual errno. */
#include "broker/share/intercept/answer.h"

#include <errno.h>
#include <linux/net.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/loop/fds.h"
#include "broker/life/launch/spawn.h"
#include "broker/share/intercept/filter.h"
#include "broker/share/intercept/socket_file.h"
#include "broker/life/stop.h"
#include "broker/pool/closer.h"
#include "broker/pool/listener.h"
#include "broker/share/channel_messages.h"
#include "broker/share/claim/bind.h"
#include "broker/share/grant.h"

#define LOOK_MS 20 /* after a bind, doubling up to */
#define LOOK_MAX_MS 1000

static int64_t look_ms;

enum { ARG_FD, ARG_ADDRESS, ARG_LEN, ARG_BACKLOG = ARG_ADDRESS };

/* The caller's socket, if it is one that may come to listen; else -1. */
static int fetch_socket(const struct notify *notify)
{
    static bool told;
    int fd = notify_fetch_fd(notify, (int)notify->args[ARG_FD]);

    if (fd < 0 && errno == EPERM && !told) {
        told = true;
        log_error("cannot reach the sockets of pid %u: %s; nothing of it is shared, run sshim as "
                  "root or permit ptrace(2) (kernel.yama.ptrace_scope)",
                  notify->request->pid, strerror(errno));
    }
    if (socket_key_is_fit(fd, fds_get_option(fd, SO_DOMAIN)))
        return fd;
    closer_close(fd);
    return -1;
}

/* The worker's channel whose canonical socket this is, or NULL. */
static struct channel *find_channel(const struct worker *worker, int fd)
{
    struct channel *channel;

    LIST_FOREACH(channel, &worker->channels, of_worker)
        if (!channel->closed && bind_is_same_file(channel->listener->canonical_fd, fd))
            return channel;
    return NULL;
}

/* --- bind --- */

/* As inet_bind(): what is behind the address is not looked at, and no family is AF_INET for
 * 0.0.0.0. */
static bool read_address(struct address *address, const struct notify *notify, int fd)
{
    size_t len = (size_t)notify->args[ARG_LEN];
    struct wire_address wire = {0};
    struct sockaddr_in in;

    wire.len_bytes = len < sizeof wire.bytes ? (uint32_t)len : sizeof wire.bytes;
    memcpy(wire.bytes, notify->peek.bytes, wire.len_bytes);
    memcpy(&in, wire.bytes, sizeof in);
    if (in.sin_family == AF_UNSPEC && in.sin_addr.s_addr == htonl(INADDR_ANY))
        memcpy(wire.bytes, &(sa_family_t){AF_INET}, sizeof in.sin_family);
    return address_from_wire(address, &wire) &&
           fds_get_option(fd, SO_DOMAIN) == address->storage.ss_family;
}

/* Or about to be. */
static bool is_connected(int fd)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    struct tcp_info info;
    socklen_t info_len = sizeof info;

    if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0)
        return true;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &info_len) == 0 &&
           info.tcpi_state != TCP_CLOSE && info.tcpi_state != TCP_LISTEN;
}

/* The kernel refuses a second bind of one socket, and the bind of a connected socket. */
static bool is_bound(int fd)
{
    struct address name = {.len = sizeof name.storage};

    if (is_connected(fd) || getsockname(fd, (struct sockaddr *)&name.storage, &name.len) < 0)
        return true;
    return name.storage.ss_family == AF_UNIX ? name.len > sizeof(sa_family_t)
                                             : !address_has_port_zero(&name);
}

/* A program may bind an address and connect from there: then our copy would keep that connection
 * open when the program closes it. A connect is not notified. */
static void on_look_time(struct loop_timer *timer)
{
    struct listener *next;
    bool again = false;

    for (struct listener *listener = TAILQ_FIRST(&listeners); listener; listener = next) {
        next = TAILQ_NEXT(listener, all);
        if (listener->listening || listener->canonical_fd < 0)
            continue;
        if (is_connected(listener->canonical_fd))
            bind_abandon(listener);
        else
            again = true;
    }
    look_ms = look_ms * 2 < LOOK_MAX_MS ? look_ms * 2 : LOOK_MAX_MS;
    if (again)
        loop_start_timer(timer, look_ms);
}
static struct loop_timer look_timer = {.on_time = on_look_time};

/* is_own: the program's socket is the canonical one from now on. */
static void share(struct notify *notify, struct worker *worker, pid_t asker,
                  struct listener *listener, bool is_own)
{
    int worker_fd;
    struct channel *channel = grant_open(listener, worker, asker, &worker_fd);

    if (!channel) {
        notify_answer(notify, ENOMEM);
        return;
    }
    close(worker_fd); /* nothing is ever sent on it */
    int number = (int)notify->args[ARG_FD];
    if (is_own || notify_install_fd(notify, listener->canonical_fd, number) == 0) {
        notify_answer(notify, 0);
        if (!listener->listening) {
            look_ms = LOOK_MS;
            loop_start_timer(&look_timer, look_ms);
        }
        return;
    }
    int error = errno;
    unsigned ordinal = listener->ordinal;
    worker_close_channel(channel);
    if (error == EINTR) {
        if (ordinal)
            worker_uncount_port_zero(worker); /* it is asked again */
        notify_retry(notify);
    } else {
        notify_answer(notify, error); /* ENOENT: the caller is gone */
    }
}

/* fd: the program's socket (takes). */
static void bind_address(struct notify *notify, const struct address *address, int fd)
{
    pid_t asker = notify_process(notify);
    struct worker *worker = notify_worker(notify);

    if (!worker || !asker || stop_is_under_way()) {
        closer_close(fd);
        notify_continue(notify);
        return;
    }
    struct bind_verdict verdict;
    if (!address_is_path(address)) {
        bool reuseport = fds_get_option(fd, SO_REUSEPORT) > 0;
        struct ucred user = {.pid = asker, .uid = spawn_uid()};
        const struct bind_how how = {&user, reuseport, notify_may_settle(notify)};
        verdict = bind_name(worker, &how, address, fd);
        if (verdict.settles || verdict.looks) {
            closer_close(fd);
            if (verdict.settles)
                notify_settle(notify);
            else
                notify_retry(notify);
            return;
        }
    } else {
        closer_close(fd);
        if (!socket_file_bind(notify, worker, asker, address, &verdict)) {
            notify_retry(notify);
            return;
        }
    }
    switch (verdict.verdict) {
    case WIRE_SHARED:
        share(notify, worker, asker, verdict.listener, verdict.listener->canonical_fd == fd);
        break;
    case WIRE_FAILED: notify_answer(notify, verdict.error); break;
    default: notify_continue(notify); break;
    }
}

/* A broker that was killed, or a try before, may have put the canonical socket there already. */
static bool is_done(const struct notify *notify, int fd)
{
    const struct worker *worker = notify->again ? notify_worker(notify) : NULL;

    return worker && find_channel(worker, fd);
}

static void on_address(struct peek *peek, ssize_t got)
{
    struct notify *notify = loop_container(peek, struct notify, peek);
    struct address address;
    int fd = got == (ssize_t)notify->args[ARG_LEN] ? fetch_socket(notify) : -1;

    if (fd >= 0 && is_done(notify, fd)) {
        closer_close(fd);
        notify_answer(notify, 0);
        return;
    }
    if (fd >= 0 && read_address(&address, notify, fd) && (notify->again || !is_bound(fd))) {
        bind_address(notify, &address, fd);
        return;
    }
    closer_close(fd);
    notify_continue(notify);
}

/* Sockets of other kinds, as getaddrinfo(3) has one for each question, cost no process. */
static void begin_bind(struct notify *notify)
{
    int fd = fetch_socket(notify);
    bool is_sane = fd >= 0 && notify->args[ARG_LEN] >= sizeof(sa_family_t) &&
                   notify->args[ARG_LEN] <= sizeof(struct sockaddr_storage);

    closer_close(fd);
    if (!is_sane ||
        notify_peek(notify, notify->args[ARG_ADDRESS], notify->args[ARG_LEN], on_address) < 0)
        notify_continue(notify);
}

/* --- listen --- */

/* Clients of a socket file see the listening process by SO_PEERCRED: so the worker listens itself.
 */
static void listen_on(struct notify *notify, struct channel *channel, int fd)
{
    struct worker *worker = channel->worker;
    struct address bound = channel->listener->bound;
    int asked = (int)notify->args[ARG_BACKLOG];
    int backlog = broker.config.backlog ? broker.config.backlog : asked;

    if (bound.storage.ss_family == AF_UNIX) {
        notify_continue_now(notify);
        channel_messages_on_listen(channel, asked);
        return;
    }
    bool listens = listen(fd, backlog) == 0;
    if (!listens && errno == EADDRINUSE) {
        bind_give_up_unused(worker, &bound); /* may free the channel */
        listens = listen(fd, backlog) == 0;
    }
    if (!listens && errno == EADDRINUSE && !closer_is_settled() && notify_may_settle(notify)) {
        notify_settle(notify);
        return;
    }
    notify_answer(notify, listens ? 0 : errno);
    channel = listens ? find_channel(worker, fd) : NULL;
    if (channel)
        channel_messages_on_listen(channel, asked);
}

/* The channel of a socket that the worker has bound to a path by itself. */
static struct channel *open_file(const struct notify *notify, struct worker *worker, int fd)
{
    pid_t asker = notify_process(notify);
    struct listener *listener = asker ? socket_file_listen(notify, worker, asker, fd) : NULL;
    int worker_fd;
    struct channel *channel = listener ? grant_open(listener, worker, asker, &worker_fd) : NULL;

    if (channel)
        close(worker_fd);
    return channel;
}

static void begin_listen(struct notify *notify)
{
    int fd = fetch_socket(notify);
    struct worker *worker = fd < 0 || stop_is_under_way() ? NULL : notify_worker(notify);
    struct channel *channel = worker ? find_channel(worker, fd) : NULL;

    if (worker && !channel)
        channel = open_file(notify, worker, fd);
    if (channel)
        listen_on(notify, channel, fd);
    closer_close(fd);
    if (!channel)
        notify_continue(notify);
}

/* --- which call --- */

static void begin_call(struct notify *notify, enum filter_call call)
{
    switch (call) {
    case FILTER_BIND: begin_bind(notify); break;
    case FILTER_LISTEN: begin_listen(notify); break;
    case FILTER_UNLINK:
    case FILTER_UNLINKAT: socket_file_unlink(notify, call); break;
    default: notify_continue(notify); break;
    }
}

/* i386: 32 bits each. */
static void on_arguments(struct peek *peek, ssize_t got)
{
    struct notify *notify = loop_container(peek, struct notify, peek);
    uint32_t words[3] = {0};
    bool is_bind = notify->request->data.args[0] == SYS_BIND;
    size_t size = is_bind ? sizeof words : 2 * sizeof words[0];

    if (got < (ssize_t)size) {
        notify_continue(notify);
        return;
    }
    memcpy(words, peek->bytes, size);
    for (int i = 0; i < 3; i++)
        notify->args[i] = words[i];
    begin_call(notify, is_bind ? FILTER_BIND : FILTER_LISTEN);
}

void answer_call(struct notify *notify)
{
    const struct seccomp_data *data = &notify->request->data;
    enum filter_call call = filter_call_of(data);

    /* descriptors and lengths are ints: what is above them is not looked at */
    for (int i = 0; i < 3; i++)
        notify->args[i] = i == ARG_ADDRESS ? data->args[i] : (uint32_t)data->args[i];
    if (call != FILTER_SOCKETCALL)
        begin_call(notify, call);
    else if (notify_peek(notify, data->args[1], 3 * sizeof(uint32_t), on_arguments) < 0)
        notify_continue(notify);
}
