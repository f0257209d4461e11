/*
 * watchdog.h - finds workers that neither wait nor accept nor close anything for a long time. Looks
 * only while some worker is busy: an idle pool causes no wake-up.
 *
 * What workers with a filter accept is not seen. Such a worker is stuck if for that time none of
 * its threads has run or waited for events (poll, select, epoll_wait, accept), although a client of
 * its own has sent something or has gone, or is there at all if the worker was stopped, or although
 * a client was in the queue and no worker ran. That takes looks all the time, so only --stuck-kill
 * begins them.
 */
#ifndef SSHIM_BROKER_HANDOUT_WATCHDOG_H
#define SSHIM_BROKER_HANDOUT_WATCHDOG_H

/* The broker begins, or options or the way to intercept have changed: looks at workers with a
 * filter from now on, if it is asked for. */
void watchdog_begin(void);

/* A connection was handed out, or waits: begins to look, unless it looks already. */
void watchdog_poke(void);

#endif
