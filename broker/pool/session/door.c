/* door.c - see door.h. */
#include "broker/pool/session/door.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "broker/base/loop/fds.h"

#define BURST_US 200000       /* of our time, by strangers at one door */
#define SHORTAGE_PAUSE_MS 100 /* out of fds or memory: peers wait in the backlog meanwhile */

static struct door doors[] = {
#define X(name, max_sessions, text) {.watch = {.fd = -1}, .max = (max_sessions), .is_text = (text)},
    DOORS(X)
#undef X
};
static_assert(sizeof doors / sizeof doors[0] == DOORS_COUNT, "a row a door");

static struct loop_timer shortage;

struct door *door_at(enum door_name name)
{
    return &doors[name];
}

enum door_name door_name(const struct door *door)
{
    return (enum door_name)(door - doors);
}

int door_fd(enum door_name name)
{
    return doors[name].watch.fd;
}

/* The backlog stays readable: watching it when nothing can be accepted would be a busy loop. */
static void review(void)
{
    for (unsigned i = 0; i < DOORS_COUNT; i++)
        if (doors[i].watch.fd >= 0)
            loop_modify(&doors[i].watch,
                        doors[i].paused || doors[i].waits.budget || loop_timer_runs(&shortage)
                            ? 0
                            : EPOLLIN);
}

void door_pause(struct door *door, bool on)
{
    if (!on && !door->paused)
        return;
    door->paused = on;
    review();
}

bool door_may_accept(struct door *door)
{
    if (!budget_is_spent(&door->budget))
        return true;
    budget_wait(&door->budget, &door->waits, &door->watch);
    return false;
}

void door_pay(struct door *door, int64_t used_us)
{
    budget_begin(&door->budget);
    budget_end(used_us);
}

static void on_shortage_over(struct loop_timer *timer)
{
    (void)timer;
    review();
}

void door_rest(void)
{
    shortage.on_time = on_shortage_over;
    loop_start_timer(&shortage, SHORTAGE_PAUSE_MS);
    review();
}

const char *door_abstract_name(void)
{
    static char name[sizeof((struct sockaddr_un *)0)->sun_path];
    struct sockaddr_un addr = {.sun_family = AF_UNSPEC};
    socklen_t len = sizeof addr;

    memset(name, 0, sizeof name);
    if (getsockname(door_fd(DOOR_NAME), (struct sockaddr *)&addr, &len) == 0 &&
        addr.sun_family == AF_UNIX && len > offsetof(struct sockaddr_un, sun_path) + 1)
        memcpy(name, addr.sun_path + 1, len - offsetof(struct sockaddr_un, sun_path) - 1);
    return name;
}

int door_open(enum door_name name, int fd, void (*on_ready)(struct loop_fd *watch, uint32_t events))
{
    struct door *door = &doors[name];

    door->watch = (struct loop_fd){fd, on_ready};
    budget_init(&door->budget);
    door->budget.burst_us = BURST_US;
    door->refuses_fds = door->is_text && fds_refuse(fd);
    return loop_add(&door->watch, EPOLLIN);
}
