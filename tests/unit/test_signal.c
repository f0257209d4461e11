/* test_signal.c - broker/base/process/signal.c: numbers that name no process. Signal 0 reaches
 * nobody. */
#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#include "broker/base/process/signal.h"
#include "unit.h"

static void test_no_process(void)
{
    static const pid_t none[] = {0, -1, -2, INT32_MIN};

    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        errno = 0;
        CHECK(signal_process(none[i], 0) == -1 && errno == ESRCH);
        errno = 0;
        CHECK(signal_group(none[i], 0) == -1 && errno == ESRCH);
    }
    /* Its own group: one from outside a namespace of pids has no number there. */
    CHECK(setpgid(0, 0) == 0);
    CHECK(signal_process(getpid(), 0) == 0 && signal_group(getpgrp(), 0) == 0);
}

/* kill(-1) is everybody. */
static void test_no_group(void)
{
    errno = 0;
    CHECK(signal_group(1, 0) == -1 && errno == ESRCH);
}

int main(void)
{
    unit_run("a number that names no process signals nobody", test_no_process);
    unit_run("process 1 leads no group", test_no_group);
    return unit_end();
}
