/*
 * crash_points.c - linked into a broker for the row crash-points: kills it at chosen writes of its
 * journal, just before or just after them. $CRASH_POINTS is a file with a struct points. Without
 * that variable nothing is different.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker/base/journal.h"

/* Shared by each broker of one life. A point is the number of a write, twice, and 1 if it is done.
 */
struct points {
    _Atomic int32_t passed;
    int32_t kill_at[2]; /* -1: not at all */
};

static struct points *points;

__attribute__((constructor)) static void open_points(void)
{
    const char *path = getenv("CRASH_POINTS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *memory =
        fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *points, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (fd >= 0)
        close(fd);
    if (memory != MAP_FAILED)
        points = memory;
}

static void pass(void)
{
    if (!points)
        return;
    int32_t number = atomic_fetch_add(&points->passed, 1);
    if (number == points->kill_at[0] || number == points->kill_at[1])
        kill(getpid(), SIGKILL);
}

#define WRITE(name, parameters, arguments)                                                         \
    void __real_##name parameters;                                                                 \
    void __wrap_##name parameters;                                                                 \
    void __wrap_##name parameters                                                                  \
    {                                                                                              \
        pass();                                                                                    \
        __real_##name arguments;                                                                   \
        pass();                                                                                    \
    }

#define WRITE_AND_GIVE(type, name, parameter, argument)                                            \
    type __real_##name(parameter);                                                                 \
    type __wrap_##name(parameter);                                                                 \
    type __wrap_##name(parameter)                                                                  \
    {                                                                                              \
        pass();                                                                                    \
        type given = __real_##name(argument);                                                      \
        pass();                                                                                    \
        return given;                                                                              \
    }

WRITE(journal_publish_snapshot, (size_t len, uint16_t format), (len, format))
WRITE(journal_release_counts, (uint32_t number), (number))
WRITE(journal_set_keeper, (pid_t pid), (pid))
WRITE(journal_begin_upgrade, (const struct journal_upgrade *upgrade), (upgrade))
WRITE(journal_end_upgrade, (void), ())
WRITE(journal_mark_clean, (void), ())
WRITE_AND_GIVE(struct journal_counts *, journal_reserve_counts, uint32_t *number, number)
WRITE_AND_GIVE(int, journal_note_closing, int fd, fd)
WRITE_AND_GIVE(int, journal_take_closing, uint32_t place, place)
