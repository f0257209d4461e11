/* upgrade.c - see upgrade.h. */
#include "broker/operate/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/base/loop.h"
#include "broker/base/loop/fds.h"
#include "broker/base/process/aside.h"
#include "broker/base/process/deputy.h"
#include "broker/life/begin/receiver.h"
#include "broker/life/slot.h"
#include "broker/life/stop.h"
#include "broker/operate/rehearsal.h"
#include "broker/operate/tell/metrics.h"
#include "broker/operate/tell/service.h"
#include "broker/pool/closer.h"
#include "broker/pool/listener.h"
#include "broker/survive/keeper.h"
#include "broker/survive/resume.h"
#include "broker/survive/state_save.h"
#include "proto/fdpass.h"

#define LOOK_MS 20 /* while a connection is in hand */
#define LOOKS_MAX 250

/* A new program that is killed before it serves is tried again: that may have been a crash. */
#define TRIES 3

static struct {
    bool is_under_way;
    unsigned looks;
    int tries_left;
    struct loop_timer timer;
    struct session *waiter;
    int asker_fd; /* instead, of a broker before; -1: none */
} upgrade = {.asker_fd = -1};

static void on_waiter_gone(struct session *session)
{
    (void)session;
    upgrade.waiter = NULL;
}

/* Came in at the control socket itself. */
static bool takes_text(int fd)
{
    return fds_get_option(fd, SO_TYPE) == SOCK_STREAM;
}

/* On a connection of which only the descriptor is left (takes; -1: none); two datagrams have room
 * there. */
static void answer(int fd, int exit_code, const char *line)
{
    struct wire_text text = {.head = WIRE_HEAD(WIRE_TEXT)};
    struct wire_result result = {.head = WIRE_HEAD(WIRE_RESULT), .exit_code = exit_code};

    if (fd < 0)
        return;
    int len = snprintf(text.text, sizeof text.text, "%s\n", line);
    size_t used = (size_t)len < sizeof text.text ? (size_t)len : sizeof text.text - 1;
    if (takes_text(fd))
        send(fd, text.text, used, MSG_DONTWAIT | MSG_NOSIGNAL);
    else if (fdpass_send(fd, &text, WIRE_TEXT_MIN + used, -1, MSG_DONTWAIT) == 0)
        fdpass_send(fd, &result, sizeof result, -1, MSG_DONTWAIT);
    close(fd);
}

static void fail(const char *reason)
{
    struct session *waiter = upgrade.waiter;
    char text[PATH_MAX + 512];

    snprintf(text, sizeof text, "cannot upgrade to %s: %s", resume_program(), reason);
    log_error("%s; the running version goes on", text);
    if (waiter)
        session_answer(waiter, 1, "%s\n", text);
    answer(upgrade.asker_fd, 1, text);
    service_keep_pid();
    memset(&upgrade, 0, sizeof upgrade);
    upgrade.asker_fd = -1;
}

/* From here on the journal has the connection to answer. */
static void execute(void)
{
    int old_program_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);

    if (old_program_fd < 0) {
        fail(strerror(errno));
        return;
    }
    journal_begin_upgrade(&(struct journal_upgrade){
        .old_program_fd = old_program_fd,
        .asker_fd = upgrade.waiter ? upgrade.waiter->watch.fd : upgrade.asker_fd,
        .tries_left = upgrade.tries_left});
    state_save();
    closer_stop();
    aside_stop();
    receiver_stop();
    metrics_end_process();
    deputy_end();
    if (broker.config.sandbox)
        keeper_hand_over();
    else
        resume_exec(resume_program(), RESUME_UPGRADE);
    int error = errno;
    journal_end_upgrade();
    close(old_program_fd);
    fail(strerror(error));
}

/* What may be over in a moment; NULL: nothing. A connection that could not be sent for a moment is
 * in no snapshot. */
static const char *find_obstacle(void)
{
    if (listener_any_holds())
        return "connections are in hand that no worker can be given";
    if (broker.config.sandbox && !service_name_successor(runtime.keeper_pid))
        return "the service manager does not take the message that names the new process";
    return NULL;
}

static void go(struct loop_timer *timer)
{
    if (stop_is_under_way()) {
        fail("the broker stops");
        return;
    }
    keeper_start(); /* if there is none */
    const char *obstacle = find_obstacle();
    if (!obstacle)
        execute();
    else if (++upgrade.looks < LOOKS_MAX)
        loop_start_timer(timer, LOOK_MS);
    else
        fail(obstacle);
}

static void on_rehearsal_end(const char *failure)
{
    if (failure) {
        fail(failure);
        return;
    }
    upgrade.timer.on_time = go;
    loop_start_timer(&upgrade.timer, 0);
}

static void rehearse(void)
{
    int error = rehearsal_start(on_rehearsal_end);

    if (error)
        fail(strerror(error));
}

bool upgrade_begin(struct session *waiter)
{
    if (upgrade.is_under_way || stop_is_under_way())
        return false;
    upgrade.is_under_way = true;
    upgrade.tries_left = TRIES - 1;
    upgrade.waiter = waiter;
    if (waiter)
        session_await(waiter, on_waiter_gone);
    if (broker.config.sandbox && getpid() == 1) {
        fail("with --sandbox another process goes on as the broker, but all of a container ends "
             "with its pid 1; start the container anew, or leave --sandbox out");
        return true;
    }
    state_save();
    rehearse();
    return true;
}

static void tell_success(int asker_fd)
{
    char text[PATH_MAX + 64];

    snprintf(text, sizeof text, "upgraded to %s", resume_program());
    answer(asker_fd, 0, text);
}

static void tell_failure(int asker_fd)
{
    char text[PATH_MAX + 128];

    snprintf(text, sizeof text,
             "cannot upgrade to %s: it ended, or stood still, before it served; its lines in the "
             "log say why",
             resume_program());
    log_error("%s; the version before goes on as pid %d", text, (int)getpid());
    answer(asker_fd, 1, text);
}

/* The new program has ended before it served. */
static void try_again(const struct journal_upgrade *before)
{
    if (before->tries_left <= 0 || stop_is_under_way()) {
        tell_failure(before->asker_fd);
        return;
    }
    log_info("%s ended before it served; trying the upgrade again", resume_program());
    upgrade.is_under_way = true;
    upgrade.tries_left = before->tries_left - 1;
    upgrade.asker_fd = before->asker_fd;
    rehearse();
}

/* The keeper that watched over a hand-over has the old program's table of descriptors: what we
 * close is not closed before it ends. */
static void end_watcher(int watcher_fd)
{
    if (watcher_fd < 0)
        return;
    if (resume_cause() == RESUME_UPGRADE) /* else it sees that, or is this process */
        pidfd_send_signal(watcher_fd, SIGKILL, NULL, 0);
    close(watcher_fd);
}

void upgrade_settle(void)
{
    static bool is_settled;
    struct journal_upgrade under_way;

    if (is_settled)
        return;
    is_settled = true;
    if (resume_cause() == RESUME_NONE || !journal_find_upgrade(&under_way))
        return;
    /* From now on this program is executed after a crash: it reads any snapshot so far. */
    journal_end_upgrade();
    state_save();
    keeper_end_old();
    end_watcher(under_way.watcher_fd);
    close(under_way.old_program_fd);
    if (resume_cause() == RESUME_UPGRADE)
        tell_success(under_way.asker_fd);
    else
        try_again(&under_way);
}
