/* keeper.c - see keeper.h. */
#include "broker/survive/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/base/loop.h"
#include "broker/base/process/deputy.h"
#include "broker/base/process/helpers.h"
#include "broker/base/process/procfs.h"
#include "broker/base/process/signal.h"

#define RETRY_MS 1000
#define RETRY_MAX_MS 30000
#define PROVEN_MS 1000 /* a keeper that ends earlier would end again */
#define LOOK_MS 1000   /* between looks at the turn of the broker's loop */
#define KILL_MS 2000   /* what was killed returns from no call into the program, see signal(7) */

static pid_t broker_pid; /* in the keeper: whose */
static struct loop_fd watch = {.fd = -1};
static struct loop_timer retry;
static bool failed; /* and it was said */
static int64_t started_ms;
static unsigned early_ends; /* in a row */
static void (*rescue)(void);

/* Nothing but the broker's death concerns the keeper: not Ctrl-C, not a TERM to the whole group. */
static void block_signals(void)
{
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
}

static bool upgrade_is_over(void)
{
    struct journal_upgrade upgrade;

    return !journal_find_upgrade(&upgrade);
}

/* Whether it still has this process's table; where the kernel does not say so, it may. */
static bool shares_table_with(pid_t pid)
{
    long answer = syscall(SYS_kcmp, getpid(), pid, KCMP_FILES, 0, 0);

    return answer == 0 || (answer < 0 && errno != ESRCH);
}

/* What does not end keeps our table: its copies of sockets would outlive their closing by the next
 * broker. As soon as exec has given that a table of its own, a process that is no child of it
 * closes all in this one. */
static void have_table_emptied(void)
{
    pid_t keeper = getpid();
    pid_t pid = helpers_fork(CLONE_FILES);

    if (pid > 0)
        waitpid(pid, NULL, __WCLONE);
    if (pid != 0)
        return;
    if (helpers_fork(CLONE_FILES) != 0)
        _exit(0);
    while (shares_table_with(keeper))
        usleep(1000);
    helpers_empty_table();
    _exit(0);
}

/* is_for_upgrade: of a program that another keeper will watch over as well. */
static void wait_for_end_of(int broker_pidfd, bool is_for_upgrade)
{
    struct pollfd ended = {.fd = broker_pidfd, .events = POLLIN};
    uint64_t seen = 0;
    int seconds = 0; /* in which the same turn was seen, and the broker could have ended it */

    while (poll(&ended, 1, LOOK_MS) <= 0) {
        if (is_for_upgrade && upgrade_is_over())
            _exit(0);
        uint64_t turn = atomic_load_explicit(journal_live.turn, memory_order_relaxed);
        bool stands = (turn & 1) && turn == seen && !procfs_is_stopped(broker_pid);
        seconds = stands ? seconds + 1 : 0;
        seen = turn;
        if (seconds < KEEPER_TURN_MAX_S)
            continue;
        log_error("the broker has stood still for %d s; the keeper kills it and takes its place",
                  KEEPER_TURN_MAX_S);
        journal_note_standstill();
        pidfd_send_signal(broker_pidfd, SIGKILL, NULL, 0);
        if (poll(&ended, 1, KILL_MS) <= 0) {
            log_error("the broker (pid %d) does not end, since a call of the kernel does not "
                      "return; it does nothing any more",
                      (int)broker_pid);
            have_table_emptied();
        }
        return;
    }
}

/*
 * During an upgrade two keepers see the broker's end: that of the old program, and that of the new
 * one. A broker that is named itself was a keeper, and was killed before it could name the one that
 * it had just started: then the first keeper that claims the place has it.
 */
static bool is_in_charge(void)
{
    pid_t named = journal_keeper();

    return (named == 0 || named == getpid() || named == broker_pid) &&
           journal_claim_keeper(named, getpid());
}

struct order {
    pid_t broker_pid;
    int broker_pidfd;
    bool is_for_upgrade;
};

static void keep(const void *bytes)
{
    const struct order *order = bytes;

    broker_pid = order->broker_pid;
    block_signals();
    setsid(); /* what is sent to the broker's process group does not concern it either */
    prctl(PR_SET_NAME, "sshim-keeper");
    wait_for_end_of(order->broker_pidfd, order->is_for_upgrade);
    if (!journal_is_clean() && is_in_charge())
        rescue();
    _exit(0);
}

void keeper_init(void (*on_death)(void))
{
    rescue = on_death;
    deputy_set(DEPUTY_KEEPER, keep);
}

/* One that the deputy has forked is no child of ours: the deputy has it reaped. */
static void reap(pid_t pid)
{
    while (waitpid(pid, NULL, __WCLONE) < 0 && errno == EINTR)
        ;
}

static void end_keeper(void)
{
    if (!runtime.keeper_pid)
        return;
    if (watch.fd >= 0) /* not by its number: that may be another process's if the deputy had it */
        pidfd_send_signal(watch.fd, SIGKILL, NULL, 0);
    else
        signal_process(runtime.keeper_pid, SIGKILL);
    reap(runtime.keeper_pid);
    if (watch.fd >= 0) {
        loop_remove(&watch);
        close(watch.fd);
        watch.fd = -1;
    }
    if (journal_keeper() == runtime.keeper_pid)
        journal_set_keeper(0);
    runtime.keeper_pid = 0;
}

static void on_retry(struct loop_timer *timer)
{
    (void)timer;
    keeper_start();
}

static void retry_after(int64_t pause_ms)
{
    retry.on_time = on_retry;
    loop_start_timer(&retry, pause_ms);
}

/* A killed keeper is replaced at once. A keeper that ends at once must not make us fork all the
 * time.
 */
static void on_keeper_end(struct loop_fd *ended, uint32_t events)
{
    (void)ended;
    (void)events;
    end_keeper();
    early_ends = loop_now_ms() - started_ms < PROVEN_MS ? early_ends + 1 : 0;
    if (early_ends < 2) {
        keeper_start();
        return;
    }
    if (early_ends == 2)
        log_error("the keeper ends as soon as it is started; until it runs, a crash of the broker "
                  "loses connections; trying again with back-off");
    int64_t pause_ms = (int64_t)RETRY_MS << (early_ends < 12 ? early_ends - 2 : 10);
    retry_after(pause_ms < RETRY_MAX_MS ? pause_ms : RETRY_MAX_MS);
}

/* -1 with the errno of pidfd_open(2), clone(2) or epoll_ctl(2); there is none then. */
static int try_to_start(void)
{
    static int broker_pidfd = -1; /* in the table that both use */

    if (broker_pidfd < 0 && (broker_pidfd = pidfd_open(getpid(), 0)) < 0)
        return -1;
    struct order order = {getpid(), broker_pidfd, false};
    started_ms = loop_now_ms();
    runtime.keeper_pid = deputy_fork(DEPUTY_KEEPER, &order, sizeof order);
    if (runtime.keeper_pid < 0) {
        runtime.keeper_pid = 0;
        return -1;
    }
    watch = (struct loop_fd){pidfd_open(runtime.keeper_pid, 0), on_keeper_end};
    if (watch.fd >= 0 && loop_add(&watch, EPOLLIN) == 0)
        return 0;
    int saved = errno;
    end_keeper();
    errno = saved;
    return -1;
}

/* The old program's keeper is our child, as it was when another program was executed here. */
static void note_old_keeper(void)
{
    pid_t pid = journal_keeper();

    if (pid > 0 && pid != getpid() && waitpid(pid, NULL, __WCLONE | WNOHANG) == 0)
        runtime.old_keeper_pid = pid;
}

void keeper_start(void)
{
    if (runtime.keeper_pid)
        return;
    note_old_keeper();
    if (try_to_start() == 0) {
        journal_set_keeper(runtime.keeper_pid);
        if (failed)
            log_info("the keeper runs again");
        failed = false;
        return;
    }
    if (!failed)
        log_error("cannot start the keeper: %s; until it runs, a crash of the broker loses "
                  "connections; trying again",
                  strerror(errno));
    failed = true;
    retry_after(RETRY_MS);
}

void keeper_renew(void)
{
    end_keeper();
    keeper_start();
}

void keeper_hand_over(void)
{
    struct order order = {runtime.keeper_pid, watch.fd, true};

    errno = ESRCH;
    if (!runtime.keeper_pid)
        return;
    pid_t watcher = deputy_fork(DEPUTY_KEEPER, &order, sizeof order);
    if (watcher < 0)
        return;
    journal_begin_hand_over(pidfd_open(watcher, 0));
    kill(getpid(), SIGKILL);
}

void keeper_end_old(void)
{
    if (!runtime.old_keeper_pid)
        return;
    signal_process(runtime.old_keeper_pid, SIGKILL);
    reap(runtime.old_keeper_pid);
    runtime.old_keeper_pid = 0;
}

void keeper_stop(void)
{
    loop_stop_timer(&retry);
    end_keeper();
    keeper_end_old();
}
