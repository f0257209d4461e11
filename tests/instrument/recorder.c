/* recorder.c - notes each function that is entered or left, for make count-calls. A part of broker
 * and library in the build with -finstrument-functions alone. Each of the two appends to a file in
 * $COUNT_CALLS; count.py reads them. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define NOT_NOTED __attribute__((no_instrument_function))

enum kind { ENTERED, LEFT, SLEEPS, WOKE };

struct note {
    uint64_t when_ns;
    uint32_t pid;
    uint32_t kind;
    uint64_t offset; /* of the function in the file of the program */
};

extern const char __ehdr_start[] __attribute__((visibility("hidden")));

static int notes_fd = -1;

NOT_NOTED __attribute__((constructor(101))) static void open_notes(void)
{
    const char *folder = getenv("COUNT_CALLS");
    char path[4096];
    if (!folder)
        return;
    snprintf(path, sizeof path, "%s/%s", folder, RECORDED);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    notes_fd = fcntl(fd, F_DUPFD_CLOEXEC, 500); /* out of the way of the server's own */
    close(fd);
}

NOT_NOTED static void take_note(enum kind kind, uint64_t offset)
{
    int saved = errno;
    struct timespec now;
    if (notes_fd < 0)
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct note note = {(uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec,
                        (uint32_t)getpid(), kind, offset};
    if (write(notes_fd, &note, sizeof note) < 0)
        notes_fd = -1;
    errno = saved;
}

NOT_NOTED void __cyg_profile_func_enter(void *function, void *caller);
NOT_NOTED void __cyg_profile_func_exit(void *function, void *caller);
NOT_NOTED int __real_epoll_wait(int fd, struct epoll_event *events, int count, int limit_ms);
NOT_NOTED int __wrap_epoll_wait(int fd, struct epoll_event *events, int count, int limit_ms);

void __cyg_profile_func_enter(void *function, void *caller)
{
    (void)caller;
    take_note(ENTERED, (uint64_t)((const char *)function - __ehdr_start));
}

void __cyg_profile_func_exit(void *function, void *caller)
{
    (void)caller;
    take_note(LEFT, (uint64_t)((const char *)function - __ehdr_start));
}

#ifdef RECORDS_WAITS
/* The broker's loop, linked with --wrap=epoll_wait. */
int __wrap_epoll_wait(int fd, struct epoll_event *events, int count, int limit_ms)
{
    take_note(SLEEPS, 0);
    int ready = __real_epoll_wait(fd, events, count, limit_ms);
    take_note(WOKE, 0);
    return ready;
}
#endif
