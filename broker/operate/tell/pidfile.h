/*
 * pidfile.h - --pidfile-dir: the broker's pid in NAME.pid, that of each slot in NAME-SLOT.pid, for
 * programs that look for them there. A file is replaced by rename(2), so that no reader sees half
 * of it.
 */
#ifndef SSHIM_BROKER_OPERATE_TELL_PIDFILE_H
#define SSHIM_BROKER_OPERATE_TELL_PIDFILE_H

#include <stdbool.h>

/* Opens the folder, if one was given. False after one line in the log. */
bool pidfile_init(void);

/* Writes those that have changed and removes those of empty slots: whenever the state is saved. */
void pidfile_review(void);

/* The broker ends: removes all. */
void pidfile_finish(void);

/* The folder has changed: its files go from the old one into the new one. */
void pidfile_reread(void);

#endif
