/*
 * service.h - what a service manager hears that started us with NOTIFY_SOCKET (sd_notify(3), by
 * datagrams, without its library), and the watchdog that it asked for with WATCHDOG_USEC. Without
 * these variables it does nothing.
 */
#ifndef SSHIM_BROKER_OPERATE_TELL_SERVICE_H
#define SSHIM_BROKER_OPERATE_TELL_SERVICE_H

#include <stdbool.h>

/* The loop is there. resumes: this process, or another one, was the broker before. */
void service_begin(bool resumes);

/* Something has changed: tells what is new of it. Cheap. */
void service_review(void);

#endif
