/*
 * readiness.h - --ready: when a worker counts as ready. By `listen` it is when it listens; by
 * `accept` when a thread has come to wait for connections, or one was accepted; by `delay:S` when
 * it has listened for S seconds; by `notify` when one of its processes has sent READY=1 to its own
 * NOTIFY_SOCKET (sd_notify(3)). With the last two it gets no connection before, but by --handoff
 * direct.
 *
 * The socket has an abstract name, so any local process may send to it. A datagram counts if its
 * sender is the worker or a process below it; or if the sender has ended and had the worker's uid
 * (systemd-notify(1)), by which it could do worse. receiver.h reads it.
 */
#ifndef SSHIM_BROKER_LIFE_BEGIN_READINESS_H
#define SSHIM_BROKER_LIFE_BEGIN_READINESS_H

#include "broker/pool/worker.h"

/* on_reached is called once a worker that was not ready when it began to listen is. */
void readiness_init(void (*on_reached)(struct worker *worker));

/* Before its process is started: makes its socket. 0, or -1 with the errno of socket(2) or
 * bind(2). */
int readiness_begin(struct worker *worker);

/* What is NOTIFY_SOCKET to it; "" where it has none. */
struct readiness_name {
    char text[16];
};
struct readiness_name readiness_name(const struct worker *worker);

/* What the next broker goes on from: with its socket (takes; -1: none). */
void readiness_resume(struct worker *worker, int fd, bool is_told, int64_t listened_ms);

/* It listens. True: it is ready now. */
bool readiness_on_listen(struct worker *worker);

bool readiness_is_reached(const struct worker *worker);

/* What is missing, for a message: "has not ...". */
const char *readiness_describe(void);

#endif
