/* deputy.c - see deputy.h. */
#include "broker/base/process/deputy.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/process/signal.h"
#include "proto/platform.h"

struct order {
    enum deputy_errand errand;
    alignas(max_align_t) char bytes[DEPUTY_ORDER_MAX]; /* a record of the errand's */
};

struct reply {
    pid_t pid;
    int error;
};

static deputy_run *runs[DEPUTY_ERRANDS];
static bool (*reload)(void);
static pid_t deputy; /* 0: none */
static bool does_all;
static int fds[2] = {-1, -1}; /* the broker's end and the deputy's, in the table of both */

/* In memory of both: what the deputy has cloned for the last order, by the kernel, before either
 * runs on. So it is known if the deputy is killed before it says so. */
static volatile pid_t *cloned;

void deputy_set(enum deputy_errand errand, deputy_run *run)
{
    runs[errand] = run;
}

void deputy_set_reload(bool (*function)(void))
{
    reload = function;
}

/* Flags for a child of the caller. The keeper lives as long as the broker does not, and shares its
 * descriptors. */
static pid_t fork_for(const struct order *order, unsigned long flags)
{
    if (order->errand == DEPUTY_KEEPER)
        flags = CLONE_FILES | (flags & CLONE_PARENT ? SIGCHLD : 0);
    pid_t pid = flags == SIGCHLD
                    ? fork()
                    : (pid_t)syscall(PLATFORM_CLONE(flags | CLONE_PARENT_SETTID, cloned));
    if (pid == 0) {
        signal(SIGCHLD, SIG_DFL); /* the deputy ignores it */
        runs[order->errand](order->bytes);
        _exit(0);
    }
    return pid;
}

/* --- the deputy --- */

static _Noreturn void serve(pid_t broker)
{
    static struct order order;
    sigset_t all;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "sshim-deputy");
    setsid();
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    signal(SIGCHLD, SIG_IGN); /* nobody waits for a keeper; all else are the broker's children */
    *cloned = 0;              /* the page is there when the kernel writes */
    while (getppid() == broker) {
        ssize_t got = recv(fds[1], &order, sizeof order, 0);
        if (got < 0 && errno != EINTR)
            break; /* the table was emptied: of a broker that does not end, see keeper.c */
        if (got != sizeof order)
            continue;
        struct reply reply = {.pid = -1};
        if (order.errand != DEPUTY_RELOAD)
            reply.pid = fork_for(&order, CLONE_PARENT);
        else if (reload())
            reply.pid = 0;
        reply.error = reply.pid < 0 ? errno : 0;
        send(fds[1], &reply, sizeof reply, MSG_NOSIGNAL);
    }
    _exit(0);
}

/* --- the broker --- */

static void close_ends(void)
{
    close(fds[0]);
    close(fds[1]);
    fds[0] = fds[1] = -1;
}

static bool make_memory(void)
{
    if (cloned)
        return true;
    void *memory =
        mmap(NULL, sizeof *cloned, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    cloned = memory;
    return true;
}

/* -1 with the errno of mmap(2), socketpair(2) or clone(2). */
static int begin(void)
{
    pid_t broker = getpid();

    if (!make_memory() || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return -1;
    /* What it clones by CLONE_PARENT reports its end by the same signal. */
    pid_t pid = (pid_t)syscall(PLATFORM_CLONE(CLONE_FILES | SIGCHLD, 0));
    if (pid == 0)
        serve(broker);
    if (pid > 0) {
        deputy = pid;
        return 0;
    }
    int saved = errno;
    close_ends();
    errno = saved;
    return -1;
}

pid_t deputy_start(void)
{
    if (begin() < 0)
        return -1;
    does_all = true;
    return deputy;
}

static bool is_alive(void)
{
    siginfo_t info = {.si_pid = 0};

    return waitid(P_PID, (id_t)deputy, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

/* For as long as the fork takes. Both ends are in our table: that the deputy has ended is not seen
 * there. It goes on if somebody has stopped it. */
static bool exchange(const struct order *order, struct reply *reply)
{
    struct pollfd ready = {.fd = fds[0], .events = POLLIN};

    *cloned = 0;
    if (!is_alive() || send(fds[0], order, sizeof *order, MSG_NOSIGNAL) < 0)
        return false;
    while (poll(&ready, 1, 100) <= 0) {
        if (!is_alive()) {
            *reply = (struct reply){.pid = *cloned};
            return *cloned > 0; /* it has done it, and must not be asked again */
        }
        signal_process(deputy, SIGCONT);
    }
    return recv(fds[0], reply, sizeof *reply, 0) == sizeof *reply;
}

/* False with the errno of deputy_fork(). */
static bool ask(const struct order *order, struct reply *reply)
{
    if (!deputy && !does_all && begin() < 0)
        return false;
    if (deputy && exchange(order, reply))
        return true;
    errno = ECHILD;
    return false;
}

static bool is_for_deputy(enum deputy_errand errand)
{
    return does_all || errand == DEPUTY_WORKER || errand == DEPUTY_RELOAD;
}

pid_t deputy_fork(enum deputy_errand errand, const void *bytes, size_t size)
{
    static struct order order;
    struct reply reply;

    order.errand = errand;
    if (size > 0)
        memcpy(order.bytes, bytes, size < sizeof order.bytes ? size : sizeof order.bytes);
    if (!is_for_deputy(errand))
        return fork_for(&order, SIGCHLD);
    bool is_done = ask(&order, &reply);
    if (!is_done && deputy && !does_all) { /* it was killed, and we had not heard of it */
        deputy_end();
        is_done = ask(&order, &reply);
    }
    if (!is_done)
        return -1;
    errno = reply.error;
    return reply.pid;
}

bool deputy_reload(void)
{
    return (!deputy_runs() && !does_all) || deputy_fork(DEPUTY_RELOAD, NULL, 0) == 0;
}

bool deputy_does_all(void)
{
    return does_all;
}

bool deputy_runs(void)
{
    return deputy != 0;
}

bool deputy_is_pid(pid_t pid)
{
    return pid == deputy;
}

bool deputy_on_child_end(pid_t pid)
{
    if (!deputy || pid != deputy)
        return false;
    deputy = 0;
    close_ends();
    return true;
}

void deputy_end(void)
{
    if (!deputy || does_all)
        return;
    signal_process(deputy, SIGKILL);
    waitpid(deputy, NULL, 0);
    deputy_on_child_end(deputy);
}
