/*
 * result.h - how a rolling restart has ended: what the log and the commands that asked for it are
 * told. The result is kept until it is told, also by the next broker.
 */
#ifndef SSHIM_BROKER_LIFE_RESTART_RESULT_H
#define SSHIM_BROKER_LIFE_RESTART_RESULT_H

#include <stdbool.h>
#include <stdint.h>

/* As it is in the snapshot. */
struct restart_result {
    uint8_t is_due; /* a command that asked for the restart may have no answer yet */
    uint8_t exit_code;
    uint8_t is_aborted;
    uint8_t reserved;
    uint16_t replaced, wanted;
};

struct result_facts {
    bool is_aborted;
    const char *reason; /* of that */
    unsigned replaced, wanted;
    unsigned joined; /* workers that the broker did not start and so left out */
};

/* The restart has ended so: logs it, and answers the commands that wait for it (waiters.h). */
void result_tell(const struct result_facts *facts);

/* How the last one ended that this broker has seen: "none", "done" or "aborted". */
const char *result_name(void);

/* What the next broker must know: the result, or zeros if no command lacks its answer. */
struct restart_result result_due(void);

/* No command lacks its answer, or a new restart begins. */
void result_set_answered(void);

/* The broker before us left this result; is_due 0: none. */
void result_resume(const struct restart_result *result);

/* The broker before us began the restart that is under way: its result is for commands that asked
 * that broker. */
void result_expect(void);

/* Whether a restart of the broker before us has ended. */
bool result_is_resumed(void);

/* Answers those who wait with that result, at once. */
void result_answer(void);

#endif
