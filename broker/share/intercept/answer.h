/*
 * answer.h - what the notified calls of workers mean: bind shares an address by the same rules as
 * for preloaded workers, listen makes a worker ready. All else is done by the kernel as ever.
 */
#ifndef SSHIM_BROKER_SHARE_INTERCEPT_ANSWER_H
#define SSHIM_BROKER_SHARE_INTERCEPT_ANSWER_H

#include "broker/share/intercept/notify.h"

/* For notify_init(). Treats every byte that comes from the worker as hostile; never sleeps. */
void answer_call(struct notify *notify);

#endif
