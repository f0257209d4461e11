/*
 * service.h - messages to a service manager that set NOTIFY_SOCKET (sd_notify(3), by datagrams,
 * without its library), and the watchdog of WATCHDOG_USEC. Does nothing without these variables.
 */
#ifndef SSHIM_BROKER_OPERATE_TELL_SERVICE_H
#define SSHIM_BROKER_OPERATE_TELL_SERVICE_H

#include <stdbool.h>
#include <sys/types.h>

/* The loop is there. resumes: this process, or another one, was the broker before. */
void service_begin(bool resumes);

/* Something has changed: sends what is new. Cheap. */
void service_review(void);

/*
 * This process is about to end, and pid goes on as the broker: tells MAINPID, or the manager would
 * end the service. False if the manager does not take the message now: try again later. True also
 * without a manager.
 */
bool service_name_successor(pid_t pid);

/* This process stays the broker after all. */
void service_keep_pid(void);

#endif
