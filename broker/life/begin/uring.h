/*
 * uring.h - recognises a worker that waits for connections by io_uring(7), which the library does
 * not see. Reports, decides nothing.
 */
#ifndef SSHIM_BROKER_LIFE_BEGIN_URING_H
#define SSHIM_BROKER_LIFE_BEGIN_URING_H

#include "broker/pool/worker.h"

/* It is ready: looks once, a second later, whether it waits by io_uring(7), and says so. Uses
 * worker->start_timer. */
void uring_watch(struct worker *worker);

#endif
