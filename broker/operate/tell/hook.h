/*
 * hook.h - --on-event: runs the operator's command for an event, with its facts in the environment.
 * One at a time; what does not end is killed. Nothing waits for it but the end of the broker, and
 * that for no longer than HOOK_MAX_S a command.
 */
#ifndef SSHIM_BROKER_OPERATE_TELL_HOOK_H
#define SSHIM_BROKER_OPERATE_TELL_HOOK_H

#include <signal.h>
#include <stdbool.h>

#include "broker/base/log.h"

#define HOOK_MAX_S 10
#define HOOK_QUEUE_MAX 64

/* An event: if it is one of those that the command is run for, it is run as soon as the one before
 * has ended. What finds the queue full is left out. */
void hook_note(const struct log_record *record);

/* Whether this child was the command. */
bool hook_on_child_end(const siginfo_t *info);

#endif
