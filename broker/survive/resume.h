/*
 * resume.h - the broker's program is executed again and goes on from the journal: after an upgrade
 * in the same process, after a crash in the keeper. Open fds and $SSHIM_RESUME carry what it needs.
 */
#ifndef SSHIM_BROKER_SURVIVE_RESUME_H
#define SSHIM_BROKER_SURVIVE_RESUME_H

#include <stdbool.h>

#include "broker/base/config.h"

/* Remembers how this program was called. */
void resume_init(char **argv);

/* The next program gets these arguments instead, from now on; keeps them. The keeper has to learn
 * it by keeper_renew(). */
void resume_set_arguments(char **argv);

/* The path by which it was called, with the links in it: what an upgrade executes. */
const char *resume_program(void);

/* argv, "run" in the second place. */
char **resume_arguments(void);

/* Why a program goes on. */
enum resume_cause {
    RESUME_NONE,     /* it begins anew, or was given everything by another process */
    RESUME_CRASH,    /* in the keeper: the broker was killed */
    RESUME_UPGRADE,  /* in the broker's process, or in the keeper's: another version */
    RESUME_TAKE_BACK /* in the keeper, the version before: the new one ended before it served */
};

/*
 * Executes program with our arguments. Keeps open the descriptors of the valid snapshot, and
 * connections without a record (not for an upgrade, which begins when there are none). Returns only
 * on failure, with the errno of execv(2).
 */
void resume_exec(const char *program, enum resume_cause why);

/* For keeper_init(): executes the broker's program, during an upgrade the old one, or the new one
 * if the broker has handed that over. Returns if it could not. */
void resume_rescue(void);

/* *is_due: whether this process was started by resume_exec; then the journal is adopted. DONE,
 * after one line: it was, and this version cannot read the journal. */
enum proceed resume_find(bool *is_due);

/* Whether this version could go on from the journal of another broker, which this fd (borrows) is.
 */
bool resume_can_read(int other_journal_fd);

/* The fd of the snapshot that had this number is here as fd (takes). Without any, numbers are the
 * same. */
void resume_map_fd(int number, int fd);

/* Not all of them came: closes what did. */
void resume_forget_fds(void);

/* Builds the broker from the journal. 0, or -1 with errno. */
int resume_load(void);

/* Rescues connections, and hands out those that wait. */
void resume_hand_out(void);

/* Why this process goes on from another broker. */
enum resume_cause resume_cause(void);

/* Whether this process was the keeper, so that no parent watches it. Another `sshim run` may take
 * over. */
bool resume_was_keeper(void);

/* Whether the descriptors have the numbers that the journal tells, so that a keeper could go on
 * from here. */
bool resume_keeps_numbers(void);

/* For messages: "after a crash of the broker", "after an upgrade", "of the broker before". */
const char *resume_describe(void);

#endif
