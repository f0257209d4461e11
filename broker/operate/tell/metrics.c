/* metrics.c - see metrics.h. */
#include "broker/operate/tell/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/base/address.h"
#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/base/loop.h"
#include "broker/base/loop/fds.h"
#include "broker/base/process/deputy.h"
#include "broker/base/process/signal.h"
#include "broker/cli/runtime_paths.h"
#include "broker/life/stop.h"
#include "broker/pool/session/session.h"

#define PROGRAM "sshim-metrics"
#define LISTEN_FD 3 /* there the program finds the socket, */
#define BROKER_FD 4 /* and there its end of the session */
#define AGAIN_FIRST_MS 100
#define AGAIN_MAX_MS 30000
#define PROVEN_MS 60000 /* a process that lived so long has not failed */
#define FAILURES_TOLD 3

static struct {
    pid_t pid; /* 0: it does not run */
    int64_t started_ms;
    bool is_replaced;  /* killed by us, for another address */
    unsigned failures; /* in a row */
    struct loop_timer again;
} process;

/* --- the socket --- */

/* A file that an earlier broker left there. */
static void remove_stale(const struct address *address)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&address->storage;
    struct stat info;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0 && lstat(un->sun_path, &info) == 0 && S_ISSOCK(info.st_mode) &&
        connect(fd, (const struct sockaddr *)un, address->len) < 0 && errno == ECONNREFUSED)
        unlink(un->sun_path);
    if (fd >= 0)
        close(fd);
}

/* -1 with errno. */
static int listen_at(const struct address *address)
{
    int family = address->storage.ss_family;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;

    if (fd < 0)
        return -1;
    if (family == AF_UNIX)
        remove_stale(address);
    else
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (const struct sockaddr *)&address->storage, address->len) == 0 &&
        listen(fd, SOMAXCONN) == 0)
        return fd;
    fds_close(fd);
    return -1;
}

static bool open_socket(void)
{
    struct address address;

    if (address_parse(broker.config.metrics, &address))
        runtime.metrics_fd = listen_at(&address);
    if (runtime.metrics_fd >= 0)
        return true;
    log_error("cannot listen on %s for --metrics: %s; give another address", broker.config.metrics,
              strerror(errno));
    return false;
}

/* --- the process --- */

struct order {
    int listen_fd, broker_fd;
};

/* With what it needs and no more: no environment, its two descriptors, our standard error. */
static _Noreturn void run_order(const void *bytes)
{
    const struct order *order = bytes;
    char *arguments[] = {(char[]){PROGRAM}, NULL};
    char *environment[] = {NULL};
    char path[PATH_MAX];
    sigset_t none;

    if (!runtime_paths_own_program(PROGRAM, path, sizeof path))
        _exit(EXIT_NOT_FOUND);
    setsid();
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (dup2(null_fd, STDIN_FILENO) >= 0 && dup2(null_fd, STDOUT_FILENO) >= 0 &&
        dup2(order->listen_fd, LISTEN_FD) >= 0 && dup2(order->broker_fd, BROKER_FD) >= 0)
        execve(path, arguments, environment);
    _exit(EXIT_NOT_EXECUTABLE);
}

void metrics_init(void)
{
    deputy_set(DEPUTY_METRICS, run_order);
}

/* Its descriptors must not be in the way of each other when they get their numbers. */
static int start_process(void)
{
    char path[PATH_MAX];
    int ends[2];

    if (!runtime_paths_own_program(PROGRAM, path, sizeof path))
        return ENOENT;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return errno;
    int theirs = fcntl(ends[1], F_DUPFD_CLOEXEC, BROKER_FD + 1);
    close(ends[1]);
    if (theirs < 0 || !session_open_lasting(DOOR_READ_ONLY, ends[0])) {
        int error = errno;
        if (theirs >= 0)
            close(theirs);
        else
            close(ends[0]);
        return error;
    }
    fcntl(theirs, F_SETFL, 0); /* it waits for our answers */
    struct order order = {runtime.metrics_fd, theirs};
    process.pid = deputy_fork(DEPUTY_METRICS, &order, sizeof order);
    int error = process.pid < 0 ? errno : 0;
    close(theirs);
    process.started_ms = loop_now_ms();
    return error;
}

static void start_later(void);

static void on_again(struct loop_timer *timer)
{
    (void)timer;
    if (stop_is_under_way())
        return;
    int error = start_process();
    if (!error)
        return;
    process.pid = 0;
    if (process.failures < FAILURES_TOLD)
        log_error("cannot start " PROGRAM ": %s; trying again", strerror(error));
    start_later();
}

static void start_later(void)
{
    unsigned doublings = process.failures < 10 ? process.failures : 10;
    int64_t delay_ms = (int64_t)AGAIN_FIRST_MS << doublings;

    process.failures++;
    process.again.on_time = on_again;
    loop_start_timer(&process.again, delay_ms < AGAIN_MAX_MS ? delay_ms : AGAIN_MAX_MS);
}

bool metrics_on_child_end(const siginfo_t *info)
{
    if (!process.pid || info->si_pid != process.pid)
        return false;
    process.pid = 0;
    if (stop_is_under_way())
        return true;
    if (process.is_replaced) {
        process.is_replaced = false;
        if (runtime.metrics_fd >= 0)
            loop_start_timer(&process.again, 0);
        return true;
    }
    if (loop_now_ms() - process.started_ms >= PROVEN_MS)
        process.failures = 0;
    if (process.failures < FAILURES_TOLD)
        log_info(PROGRAM " %s %d; starting it again",
                 info->si_code == CLD_EXITED ? "exited with status" : "was ended by signal",
                 info->si_status);
    start_later();
    return true;
}

bool metrics_begin(void)
{
    char path[PATH_MAX];

    if (!broker.config.metrics) {
        if (runtime.metrics_fd >= 0)
            close(runtime.metrics_fd); /* the broker before us served there */
        runtime.metrics_fd = -1;
        return true;
    }
    if (!runtime_paths_own_program(PROGRAM, path, sizeof path)) {
        log_error("cannot serve --metrics: the program " PROGRAM " was not built; install "
                  "libmicrohttpd-dev and libjansson-dev, and build sshim again");
        return false;
    }
    if (runtime.metrics_fd < 0 && !open_socket())
        return false;
    journal_touch();
    process.again.on_time = on_again;
    loop_start_timer(&process.again, 0);
    return true;
}

void metrics_end_process(void)
{
    if (process.pid)
        signal_process(process.pid, SIGKILL);
}

static void close_socket(int fd)
{
    struct sockaddr_un addr = {.sun_family = AF_UNSPEC};
    socklen_t len = sizeof addr;

    if (fd < 0)
        return;
    if (getsockname(fd, (struct sockaddr *)&addr, &len) == 0 && addr.sun_family == AF_UNIX)
        unlink(addr.sun_path);
    close(fd);
}

void metrics_reread(void)
{
    int before_fd = runtime.metrics_fd;

    runtime.metrics_fd = -1;
    loop_stop_timer(&process.again);
    if (!metrics_begin()) {
        runtime.metrics_fd = before_fd;
        return;
    }
    close_socket(before_fd);
    journal_touch();
    process.failures = 0;
    process.is_replaced = process.pid > 0;
    if (!process.is_replaced)
        return;
    loop_stop_timer(&process.again); /* until the old one has ended */
    metrics_end_process();
}

void metrics_close(void)
{
    close_socket(runtime.metrics_fd);
}
