/* unit.h - the little a unit test needs: prints TAP, a failed check says where. One file, one
 * program. */
#ifndef SSHIM_TESTS_UNIT_H
#define SSHIM_TESTS_UNIT_H

#include <stdbool.h>
#include <stdio.h>

static int unit_count;
static int unit_failures;
static bool unit_ok;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            unit_ok = false;                                                                       \
            printf("# %s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                     \
        }                                                                                          \
    } while (0)

/* Runs a test, named as the promise it keeps. */
static inline void unit_run(const char *promise, void (*test)(void))
{
    unit_ok = true;
    test();
    unit_failures += !unit_ok;
    printf("%sok %d %s\n", unit_ok ? "" : "not ", ++unit_count, promise);
    fflush(stdout);
}

/* The program's exit status. */
static inline int unit_end(void)
{
    printf("1..%d\n", unit_count);
    return unit_failures != 0;
}

#endif
