/*
 * conditions.h - what must be there before this process becomes a broker, each with one line if it
 * is not: false then. resumes: it goes on from another broker, and the workers matter more than a
 * file of messages.
 */
#ifndef SSHIM_BROKER_OPERATE_RUN_CONDITIONS_H
#define SSHIM_BROKER_OPERATE_RUN_CONDITIONS_H

#include <stdbool.h>

/* Whether sshim can work here at all. */
bool conditions_permit(void);

/* Sets the names in `broker`: of the instance, its user, its control socket. */
bool conditions_name_instance(void);

/* Sets runtime.ready_fd (keeps). */
bool conditions_take_ready_fd(bool resumes);

/* Opens the files of messages and of connections. */
bool conditions_open_log(bool resumes);

/* Reads the file of --when-full. */
bool conditions_read_answer(bool resumes);

/* RLIMIT_NOFILE of this process becomes what is allowed. */
void conditions_raise_files(void);

#endif
