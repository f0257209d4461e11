/* view.h - what status shows of workers and listeners, before it is text or JSON. */
#ifndef SSHIM_BROKER_OPERATE_TELL_STATUS_VIEW_H
#define SSHIM_BROKER_OPERATE_TELL_STATUS_VIEW_H

#include <stdint.h>
#include <stdio.h>

#include "broker/handout/front/front.h"
#include "broker/pool/listener.h"

struct worker_view {
    unsigned slot;
    int pid; /* 0: none */
    const char *state;
    uint64_t accepted;
    uint64_t active;
    unsigned restarts;
    int64_t uptime_s;
    const char *via;      /* how its calls are seen */
    const unsigned *ends; /* of the slot, by cause; NULL: not the slot's own worker */
};

/* One view for each slot, then one for each worker that is not the slot's own: old ones that drain,
 * new ones. */
void view_each_worker(void (*print)(FILE *out, const struct worker_view *view), FILE *out);

struct listener_view {
    char address[SOCKET_KEY_TEXT_MAX];
    char asked[ADDRESS_TEXT_MAX]; /* what the server asked for, if that was another (meant.h); "":
                                     this */
    const char *name;             /* LISTEN_FDNAMES; "": none */
    int leader;                   /* slot, by --leader; -1: none */
    int backlog;
    int queued;
    uint64_t shut_downs;
    int64_t waited_ms; /* for a worker to be idle */
    struct listener_totals totals;
    struct front_totals front;
};

struct listener_view view_listener(const struct listener *listener);

/* Its address for people: "0.0.0.0:80 for 0.0.0.0:8080 at slot 0 (http)". */
#define VIEW_TEXT_MAX (sizeof(struct listener_view) + LISTENER_NAME_MAX + 64)
void view_describe(const struct listener_view *view, char text[VIEW_TEXT_MAX]);

#endif
