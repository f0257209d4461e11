/*
 * elastic.h - --workers LOW..HIGH: one worker more when a connection has waited for --scale-after,
 * one less when some worker was idle at every look for --scale-idle. Each step waits until the one
 * before is done, and a step down for --scale-idle after any other: so a load that comes and goes
 * faster than that keeps the number that its peaks need.
 */
#ifndef SSHIM_BROKER_OPERATE_STEER_ELASTIC_H
#define SSHIM_BROKER_OPERATE_STEER_ELASTIC_H

#include <stdbool.h>
#include <stdint.h>

struct elastic_rule {
    unsigned low, high;
    int64_t idle_ms;
};

/* What a look has found. */
struct elastic_look {
    unsigned workers; /* that are wanted now */
    bool waited;      /* a connection, for --scale-after */
    bool idle;        /* some worker is */
    bool settles;     /* the workers that are wanted are not all ready yet, or are replaced */
    int64_t now_ms;
};

/*
 * How many workers are wanted from this look on. *spare_since_ms: some worker was idle at every
 * look since then, and the number has not changed; begin with the time of the first look. Pure.
 */
unsigned elastic_decide(const struct elastic_rule *rule, const struct elastic_look *look,
                        int64_t *spare_since_ms);

/* Looks from now on, if --workers is a range. Once more after it has changed. No timer runs
 * otherwise. */
void elastic_begin(void);

#endif
