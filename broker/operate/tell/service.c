/* service.c - see service.h. Nothing here waits: a datagram that is not taken is not sent again. */
#include "broker/operate/tell/service.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/loop.h"
#include "broker/base/turn.h"
#include "broker/life/supervise/fleet.h"
#include "broker/operate/tell/status.h"
#include "broker/share/store.h"
#include "proto/fdpass.h"

#define REFRESH_MS 10000   /* between looks at the numbers of STATUS */
#define STOP_MARGIN_S 10   /* what ends after --stop-timeout: KILL, and what is removed then */
#define WATCHDOGS_A_TIME 3 /* so many datagrams in the time that the manager waits for one */

static struct {
    int fd; /* -1: there is no service manager */
    struct sockaddr_un addr;
    socklen_t addr_len;
    bool told_ready;
    bool names_pid;  /* MAINPID is still to be told */
    pid_t successor; /* was told instead of our pid; 0: none */
    enum status_state told;
    char status[128];
    struct loop_timer refresh;
    struct loop_timer watchdog;
    int64_t watchdog_ms;
} service = {.fd = -1};

static bool tell(const char *text)
{
    if (sendto(service.fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
               (const struct sockaddr *)&service.addr, service.addr_len) >= 0)
        return true;
    log_debug("the service manager does not take '%s'", text);
    return false;
}

/* A path, or @ and an abstract name. */
static bool find_manager(void)
{
    const char *name = getenv("NOTIFY_SOCKET");
    size_t len = name ? strlen(name) : 0;

    if (len < 2 || len >= sizeof service.addr.sun_path || (name[0] != '/' && name[0] != '@'))
        return false;
    service.addr.sun_family = AF_UNIX;
    memcpy(service.addr.sun_path, name, len);
    if (name[0] == '@')
        service.addr.sun_path[0] = '\0';
    service.addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (name[0] == '/'));
    return true;
}

/* Timers are the last thing in a turn of the loop: all other work of the turn is done. */
static void on_watchdog(struct loop_timer *timer)
{
    tell("WATCHDOG=1");
    loop_start_timer(timer, service.watchdog_ms);
}

/* WATCHDOG_PID is that of the first broker; a later one goes on for it. */
static void begin_watchdog(bool resumes)
{
    const char *usec = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    int64_t wanted_us = usec ? strtoll(usec, NULL, 10) : 0;

    if (wanted_us <= 0 || (pid && !resumes && strtol(pid, NULL, 10) != getpid()))
        return;
    service.watchdog_ms = wanted_us / 1000 / WATCHDOGS_A_TIME;
    if (service.watchdog_ms < 1)
        service.watchdog_ms = 1;
    service.watchdog.on_time = on_watchdog;
    loop_start_timer(&service.watchdog, 0);
}

/* A descriptor goes by a socket that is connected. */
static bool tell_with_fd(const char *text, int fd)
{
    int manager_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool is_taken =
        manager_fd >= 0 &&
        connect(manager_fd, (const struct sockaddr *)&service.addr, service.addr_len) == 0 &&
        fdpass_send(manager_fd, text, strlen(text), fd, MSG_DONTWAIT) == 0;

    if (manager_fd >= 0)
        close(manager_fd);
    return is_taken;
}

static void review(bool tells_again);

static void on_refresh(struct loop_timer *timer)
{
    review(true);
    loop_start_timer(timer, REFRESH_MS);
}

void service_begin(bool resumes)
{
    if (!find_manager())
        return;
    service.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (service.fd < 0)
        return;
    service.names_pid = resumes;
    service.told = STATUS_STARTING;
    service.refresh.on_time = on_refresh;
    loop_start_timer(&service.refresh, REFRESH_MS);
    begin_watchdog(resumes);
}

/* How long the manager is to wait from now on: a restart and a stop take as long as they take, and
 * this is told again while they go on. */
static int64_t patience_s(enum status_state state)
{
    if (state == STATUS_STOPPING)
        return (int64_t)broker.config.stop_timeout_s + broker.config.lame_duck_s + STOP_MARGIN_S;
    return state == STATUS_RESTARTING ? 3 * REFRESH_MS / 1000 : 0;
}

/* What the manager has to know of a new state, lines that end; "" for nothing. A reload ends with
 * READY, however well it went: STATUS tells. */
static void describe_change(enum status_state state, char *text, size_t size)
{
    bool reloaded = service.told == STATUS_RESTARTING && state != STATUS_STOPPING;

    text[0] = '\0';
    if (state == STATUS_RESTARTING && service.told != state)
        snprintf(text, size, "RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\n",
                 turn_read_us(CLOCK_MONOTONIC));
    else if (state == STATUS_STOPPING && service.told != state)
        snprintf(text, size, "STOPPING=1\n");
    else if (reloaded || (fleet_was_ready() && !service.told_ready && state != STATUS_STOPPING))
        snprintf(text, size, "READY=1\n");
    service.told_ready |= fleet_was_ready();
}

static void review(bool tells_again)
{
    char text[512] = "";
    char change[96] = "";
    char pid[32] = "";
    char patience[48] = "";
    char status[sizeof service.status];

    if (service.fd < 0)
        return;
    enum status_state state = status_state();
    status_describe(status, sizeof status);
    if (state != service.told || (fleet_was_ready() && !service.told_ready))
        describe_change(state, change, sizeof change);
    if (patience_s(state) > 0)
        snprintf(patience, sizeof patience, "EXTEND_TIMEOUT_USEC=%" PRId64 "000000\n",
                 patience_s(state));
    service.told = state;
    if (service.names_pid)
        snprintf(pid, sizeof pid, "MAINPID=%d\n", (int)getpid());
    service.names_pid = false;
    if (!*change && !*pid && strcmp(status, service.status) == 0 && !(tells_again && *patience))
        return;
    memcpy(service.status, status, sizeof status);
    snprintf(text, sizeof text, "%s%s%sSTATUS=%s", pid, change, patience, status);
    tell(text);
}

void service_review(void)
{
    review(false);
    if (service.fd >= 0)
        store_review(tell_with_fd);
}

bool service_name_successor(pid_t pid)
{
    char text[32];

    if (service.fd < 0 || service.successor == pid)
        return true;
    snprintf(text, sizeof text, "MAINPID=%d", (int)pid);
    if (!tell(text))
        return false;
    service.successor = pid;
    return true;
}

void service_keep_pid(void)
{
    if (service.successor)
        service.names_pid = true;
    service.successor = 0;
}
