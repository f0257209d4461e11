/* test_fdmap.c - shim/base/fdmap.h: entries come back as set, and numbers outside the table are
 * harmless. */
#include <limits.h>

#include "shim/base/fdmap.h"
#include "unit.h"

static void is_unknown_at_first(void)
{
    CHECK(fdmap_get(0).kind == FDMAP_UNKNOWN);
    CHECK(fdmap_get(FDMAP_SIZE - 1).kind == FDMAP_UNKNOWN);
}

static void comes_back_as_set(void)
{
    const int fds[] = {0, 1, 1023, 65536, FDMAP_SIZE - 1};

    for (unsigned i = 0; i < sizeof fds / sizeof fds[0]; i++)
        for (enum fdmap_kind kind = FDMAP_FOREIGN; kind <= FDMAP_HIDDEN; kind++) {
            fdmap_set(fds[i], kind, 255 - i);
            CHECK(fdmap_get(fds[i]).kind == kind && fdmap_get(fds[i]).index == 255 - i);
        }
    for (unsigned i = 0; i < sizeof fds / sizeof fds[0]; i++)
        fdmap_clear(fds[i]);
}

static void tells_what_was_there(void)
{
    CHECK(fdmap_set(5, FDMAP_LISTENER, 7).kind == FDMAP_UNKNOWN);
    struct fdmap_entry old = fdmap_set(5, FDMAP_CONN, 1);
    CHECK(old.kind == FDMAP_LISTENER && old.index == 7);
    CHECK(fdmap_clear(5).kind == FDMAP_CONN);
    CHECK(fdmap_clear(5).kind == FDMAP_UNKNOWN);
}

static void outside_is_unknown(void)
{
    const int fds[] = {-1, INT_MIN, FDMAP_SIZE, INT_MAX};

    for (unsigned i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        fdmap_set(fds[i], FDMAP_LISTENER, 1);
        CHECK(fdmap_get(fds[i]).kind == FDMAP_UNKNOWN);
        CHECK(fdmap_clear(fds[i]).kind == FDMAP_UNKNOWN);
    }
}

static void a_child_forgets_connections_only(void)
{
    fdmap_set(3, FDMAP_LISTENER, 0);
    fdmap_set(4, FDMAP_CONN, 0);
    fdmap_set(900, FDMAP_CONN, 0);
    fdmap_set(960, FDMAP_HIDDEN, 0);
    fdmap_forget_connections();
    CHECK(fdmap_get(3).kind == FDMAP_LISTENER);
    CHECK(fdmap_get(4).kind == FDMAP_FOREIGN);
    CHECK(fdmap_get(900).kind == FDMAP_FOREIGN);
    CHECK(fdmap_get(960).kind == FDMAP_HIDDEN);
    for (int fd = 0; fd < 1000; fd++)
        fdmap_clear(fd);
}

static void finds_the_next_of_a_kind(void)
{
    fdmap_set(10, FDMAP_HIDDEN, 0);
    fdmap_set(20, FDMAP_LISTENER, 0);
    fdmap_set(30, FDMAP_HIDDEN, 0);
    CHECK(fdmap_find(0, FDMAP_HIDDEN) == 10);
    CHECK(fdmap_find(10, FDMAP_HIDDEN) == 10);
    CHECK(fdmap_find(11, FDMAP_HIDDEN) == 30);
    CHECK(fdmap_find(31, FDMAP_HIDDEN) == -1);
    CHECK(fdmap_find(0, FDMAP_EPOLL) == -1);
}

int main(void)
{
    unit_run("fdmap: every number is unknown at first", is_unknown_at_first);
    unit_run("fdmap: an entry comes back as it was set", comes_back_as_set);
    unit_run("fdmap: setting and clearing tell what was there", tells_what_was_there);
    unit_run("fdmap: numbers outside the table are unknown for ever", outside_is_unknown);
    unit_run("fdmap: a forked child forgets connections, nothing else",
             a_child_forgets_connections_only);
    unit_run("fdmap: the next entry of a kind is found", finds_the_next_of_a_kind);
    return unit_end();
}
