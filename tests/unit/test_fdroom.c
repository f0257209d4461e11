/* test_fdroom.c - whether the descriptor table is full is known whatever was opened and closed. */
#include "shim/base/fdroom.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

static void set_limit(rlim_t count)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = count;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static int open_all(void)
{
    int last = -1;

    for (int fd; (fd = open("/dev/null", O_RDONLY)) >= 0;)
        last = fd;
    return last;
}

/* Until the next look is due. */
static bool is_scarce(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2L * FDROOM_LOOK_MS * 1000000}, NULL);
    return fdroom_is_scarce(0);
}

static void margins(void)
{
    CHECK(fdroom_scarce_from(16) == 0);
    CHECK(fdroom_scarce_from(64) == 0);
    CHECK(fdroom_scarce_from(256) == 192);
    CHECK(fdroom_scarce_from(1024) == 896);
    CHECK(fdroom_crowded_from(16) == 0);
    CHECK(fdroom_crowded_from(64) == 48);
    CHECK(fdroom_crowded_from(1024) == 896);
}

static void unseen(void)
{
    CHECK(!is_scarce());
    int last = open_all();
    CHECK(is_scarce());
    CHECK(!fdroom_prove(0));
    close(last);
    CHECK(fdroom_prove(0));
    close_range(10, 300, 0);
    CHECK(!is_scarce());
}

static void holes(void)
{
    int last = open_all();
    fdroom_note(last);
    close(10);
    CHECK(open("/dev/null", O_RDONLY) == 10);
    fdroom_note(10); /* the newest number is low, and the table is full */
    CHECK(fdroom_is_scarce(0));
    CHECK(is_scarce());
    CHECK(!fdroom_prove(0));
    for (int fd = 10; fd < 150; fd++)
        close(fd);
    CHECK(is_scarce()); /* at the end it is as full as before */
    close_range(10, 300, 0);
    CHECK(!is_scarce());
}

static void low_hole(void)
{
    CHECK(!is_scarce());
    open_all();
    close(10);
    CHECK(is_scarce());
    CHECK(fdroom_prove(0));
    close_range(10, 300, 0);
    CHECK(!is_scarce());
}

static void far_above(void)
{
    int high = fcntl(0, F_DUPFD, 295);
    CHECK(high == 295);
    CHECK(!is_scarce());
    close(high);
}

static void lowered(void)
{
    for (int i = 0; i < 100; i++)
        CHECK(open("/dev/null", O_RDONLY) >= 0);
    CHECK(!is_scarce());
    set_limit(50);
    CHECK(is_scarce());
    CHECK(!fdroom_prove(0));
    set_limit(300);
    CHECK(!is_scarce());
    close_range(10, 300, 0);
}

static void turns(void)
{
    errno = 7;
    fdroom_begin_turn();
    fdroom_begin_turn(); /* comes back, though nobody ends it */
    fdroom_end_turn();
    CHECK(errno == 7);
}

int main(void)
{
    set_limit(300);
    unit_run("the margins fit small and large limits", margins);
    unit_run("what is opened unseen counts, and what is closed unseen", unseen);
    unit_run("a hole that is filled again does not hide that the table is full", holes);
    unit_run("one low number that is free does not hide that the others are not", low_hole);
    unit_run("a number far above the others does not make the table full", far_above);
    unit_run("a limit that is lowered or raised is seen", lowered);
    unit_run("a turn that never ends holds nobody up", turns);
    return unit_end();
}
