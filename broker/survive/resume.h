/*
 * resume.h - the broker's program is executed again and goes on where another left off: after an
 * upgrade in the same process, or in the keeper when the broker was killed. What it needs travels
 * as open fds and in $SSHIM_RESUME.
 */
#ifndef SSHIM_BROKER_SURVIVE_RESUME_H
#define SSHIM_BROKER_SURVIVE_RESUME_H

#include <stdbool.h>

/* Remembers how this program was called. */
void resume_init(char **argv);

/*
 * Executes program with our arguments. Keeps open what the valid snapshot names, and connections
 * nobody has a record of (rescue). Returns only on failure, with the errno of execv(2).
 */
void resume_exec(const char *program, bool rescue);

/* For keeper_init(): unless the broker has ended in order, executes its program. Returns else. */
void resume_rescue(void);

/* Whether this process was started by resume_exec; then the journal is adopted. */
bool resume_is_due(void);

/* The fd of the snapshot that had this number is here as fd (takes). Without any, numbers are the
 * same. */
void resume_map_fd(int number, int fd);

/* Not all of them came: closes what did. */
void resume_forget_fds(void);

/* Builds the broker from the journal, then rescues connections. 0, or -1 with errno. */
int resume_load(void);

/* Whether the broker before us was killed: another `sshim run` may take over. */
bool resume_after_crash(void);

/* Whether the descriptors have the numbers that the journal tells, so that a keeper could go on
 * from here. */
bool resume_keeps_numbers(void);

/* For messages: "after a crash of the broker", "after an upgrade", "of the broker before". */
const char *resume_describe(void);

#endif
