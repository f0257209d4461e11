/* test_retarget.c - shim/base/retarget.c and epoll_set_retarget(): another file comes behind the
 * numbers that a program uses, and its epoll registrations go on. */
#include "shim/base/retarget.h"

#include <errno.h>
#include <sys/stat.h>

#include "record.h"
#include "shim/take/epoll_set.h"

static ino_t inode(int fd)
{
    struct stat info;

    return fstat(fd, &info) == 0 ? info.st_ino : 0;
}

static bool has(const struct retarget_plan *plan, int fd)
{
    for (int i = 0; i < plan->fd_count; i++)
        if (plan->fds[i] == fd)
            return true;
    return false;
}

static void all_numbers_of_the_socket_are_found(void)
{
    int fd = record_open_canonical();
    int other_fd = record_open_canonical();
    int dup_fd = dup(fd);
    int hidden_fd = dup(fd);

    fdmap_set(hidden_fd, FDMAP_HIDDEN, 0);
    struct retarget_plan *plan = retarget_plan_create(fd);
    CHECK(plan && plan->fds[0] == fd && plan->fd_count == 2 && has(plan, dup_fd));
    CHECK(plan->registration_count == 0);
    retarget_plan_destroy(plan);
    fdmap_clear(hidden_fd);
    close(hidden_fd);
    close(dup_fd);
    close(other_fd);
    close(fd);
}

static void registrations_are_found_with_their_data(void)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET,
                                .data.u64 = UINT64_C(0xfedcba9876543210)};
    int fd = record_open_canonical();
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int pair[2];

    CHECK(pipe2(pair, O_CLOEXEC) == 0);
    CHECK(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pair[0], &event) == 0); /* not of this socket */
    CHECK(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0);
    struct retarget_plan *plan = retarget_plan_create(fd);
    CHECK(plan && plan->registration_count == 1);
    CHECK(plan->registrations[0].epoll_fd == epoll_fd && plan->registrations[0].fd == fd);
    CHECK((plan->registrations[0].event.events & (EPOLLIN | EPOLLET)) == (EPOLLIN | EPOLLET));
    CHECK(plan->registrations[0].event.data.u64 == event.data.u64);
    retarget_plan_destroy(plan);
    close(pair[0]);
    close(pair[1]);
    close(epoll_fd);
    close(fd);
}

/* More text than is read at once. */
static void many_registrations_are_all_read(void)
{
    int fds[60];
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int fd = record_open_canonical();

    for (unsigned i = 0; i < 60; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = i};
        fds[i] = dup(fd);
        CHECK(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fds[i], &event) == 0);
    }
    struct retarget_plan *plan = retarget_plan_create(fd);
    CHECK(plan && plan->fd_count == 61 && plan->registration_count == 60);
    retarget_plan_destroy(plan);
    for (unsigned i = 0; i < 60; i++)
        close(fds[i]);
    close(epoll_fd);
    close(fd);
}

static void the_new_file_is_behind_all_and_is_told_of(void)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 5};
    int fd = record_open_canonical();
    int dup_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int new_fd = record_make(0, true);

    fcntl(fd, F_SETFD, 0);
    CHECK(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0);
    errno = 0;
    CHECK(epoll_set_retarget(fd, new_fd, FDMAP_LISTENER, 0) == 2 && errno == 0);
    CHECK(inode(fd) == inode(new_fd) && inode(dup_fd) == inode(new_fd));
    CHECK(fcntl(fd, F_GETFD) == 0 && fcntl(dup_fd, F_GETFD) == FD_CLOEXEC);
    CHECK(fdmap_get(fd).kind == FDMAP_LISTENER && fdmap_get(dup_fd).kind == FDMAP_LISTENER);
    CHECK(epoll_set_listeners(epoll_set_of(epoll_fd)) == 1);
    record_offer(0, 2);
    event.data.u64 = 0;
    CHECK(epoll_wait(epoll_fd, &event, 1, 0) == 1 && event.data.u64 == 5);
    epoll_set_drop_fd(epoll_set_of(epoll_fd), epoll_fd);
    fdmap_clear(epoll_fd);
    fdmap_clear(fd);
    fdmap_clear(dup_fd);
    close(fd);
    close(dup_fd);
    close(epoll_fd);
    record_drop(0);
}

static int seen;

static void count_fd(int fd, void *context)
{
    seen += fd == *(int *)context;
}

static void each_open_number_is_visited_once(void)
{
    int fds[50];

    for (int i = 0; i < 50; i++)
        fds[i] = dup(2);
    for (int i = 0; i < 50; i++) {
        seen = 0;
        retarget_each_open_fd(count_fd, &fds[i]);
        CHECK(seen == 1);
    }
    for (int i = 0; i < 50; i++)
        close(fds[i]);
}

int main(void)
{
    next_resolve();
    unit_run("retarget: all numbers of the socket are found", all_numbers_of_the_socket_are_found);
    unit_run("retarget: registrations are found with their data",
             registrations_are_found_with_their_data);
    unit_run("retarget: many registrations are all read", many_registrations_are_all_read);
    unit_run("retarget: the new file is behind all numbers, and is told of",
             the_new_file_is_behind_all_and_is_told_of);
    unit_run("retarget: each open number is visited once", each_open_number_is_visited_once);
    return unit_end();
}
