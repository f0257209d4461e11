/*
 * metrics.h - --metrics: HTTP is served by sshim-metrics, a process without rights that asks the
 * broker for its status and nothing else. The broker owns the listening socket, so that a scrape
 * waits while that process, or the broker, is replaced.
 */
#ifndef SSHIM_BROKER_OPERATE_TELL_METRICS_H
#define SSHIM_BROKER_OPERATE_TELL_METRICS_H

#include <signal.h>
#include <stdbool.h>

/* Once, before the others. */
void metrics_init(void);

/* Listens, unless the broker before us did, and starts the process. Does nothing without --metrics.
 * False after one line. */
bool metrics_begin(void);

/* The address has changed. If it cannot be had, the old one stays, after one line. */
void metrics_reread(void);

/* Whether this child was that process: it is started again. */
bool metrics_on_child_end(const siginfo_t *info);

/* This program is about to execute another one, whose own process goes on with the socket. */
void metrics_end_process(void);

/* The broker ends: removes the socket file. */
void metrics_close(void);

#endif
