/* test_wait.c - shim/take/wait.c and epoll_set.c: who waits is told, and for which listeners. */
#include "shim/take/polling.h"
#include "shim/take/wait.h"

#include <sys/epoll.h>

#include "record.h"
#include "shim/take/direct.h"
#include "shim/take/epoll_set.h"

static struct board *const board = &record_boards[0];

static int make_epoll(int fd, uint64_t data)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = data};
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

    CHECK(epoll_fd >= 0 && epoll_set_control(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0);
    return epoll_fd;
}

static void drop_epoll(int epoll_fd)
{
    int set = epoll_set_of(epoll_fd);

    if (set != EPOLL_SET_NONE)
        epoll_set_drop_fd(set, epoll_fd);
    fdmap_clear(epoll_fd);
    close(epoll_fd);
}

static void waiting_is_raised_and_lowered(void)
{
    record_make(0, true);
    record_make(1, true);
    wait_begin(3);
    CHECK(board->worker.waiting == 1 && record_boards[1].worker.waiting == 1);
    wait_begin(1); /* the wait before was left by siglongjmp(3) */
    CHECK(board->worker.waiting == 1 && record_boards[1].worker.waiting == 0);
    wait_end();
    CHECK(board->worker.waiting == 0 && board->worker.waits == 2);
    record_drop(0);
    record_drop(1);
}

static void one_thread_wakes_the_broker_for_what_waits(void)
{
    record_make(0, true);
    board->broker.queue_waits = BOARD_ASK;
    wait_begin(1);
    CHECK(record_told(0) == WIRE_WAKE && board->broker.queue_waits == BOARD_QUEUE_EMPTY);
    wait_end();
    wait_begin(1);
    CHECK(record_told(0) == -1);
    wait_end();
    record_drop(0);
}

static void poll_and_select_wait_for_what_they_look_at(void)
{
    int fd = record_make(0, true);
    struct pollfd fds[] = {{.fd = 0, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    fd_set readable;

    CHECK(polling_mask_poll(fds, 2) == 1);
    CHECK(polling_mask_poll(fds, 1) == 0);
    fds[1].events = POLLOUT;
    CHECK(polling_mask_poll(fds, 2) == 0);
    CHECK(polling_mask_poll((struct pollfd *)16, 2) == 0);
    FD_ZERO(&readable);
    FD_SET(fd, &readable);
    CHECK(polling_mask_select(fd + 1, &readable) == 1);
    CHECK(polling_mask_select(fd, &readable) == 0);
    CHECK(polling_mask_select(fd + 1, NULL) == 0);
    record_drop(0);
}

static void an_epoll_fd_has_the_listeners_that_were_added(void)
{
    int fds[2] = {record_make(0, true), record_make(1, true)};
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 7};
    int epoll_fd = make_epoll(fds[0], 5);

    CHECK(wait_mask_epoll(epoll_fd) == 1);
    CHECK(epoll_set_control(epoll_fd, EPOLL_CTL_ADD, fds[1], &event) == 0);
    CHECK(wait_mask_epoll(epoll_fd) == 3);
    CHECK(epoll_set_find(epoll_set_of(epoll_fd), &vlisten_table[0], true, &event) &&
          event.data.u64 == 5);
    CHECK(epoll_set_find(epoll_set_of(epoll_fd), &vlisten_table[1], true, &event) &&
          event.data.u64 == 7);
    CHECK(epoll_set_control(epoll_fd, EPOLL_CTL_DEL, fds[0], NULL) == 0);
    CHECK(wait_mask_epoll(epoll_fd) == 2);
    epoll_set_forget(&vlisten_table[1]);
    CHECK(wait_mask_epoll(epoll_fd) == 0);
    drop_epoll(epoll_fd);
    record_drop(0);
    record_drop(1);
}

/* One-shot has a state in the kernel that cannot be reported by ourselves. */
static void what_cannot_be_reported_is_waited_for_all_the_same(void)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.u64 = 5};
    int fd = record_make(0, true);
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

    CHECK(epoll_set_control(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0);
    CHECK(wait_mask_epoll(epoll_fd) == 1);
    CHECK(!epoll_set_find(epoll_set_of(epoll_fd), &vlisten_table[0], false, &event));
    drop_epoll(epoll_fd);
    record_drop(0);
}

/* Registered past the hooks: learnt from the accept that follows the wait. */
static void a_registration_that_was_not_seen_is_learnt(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    int fd = record_make(0, false);
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

    CHECK(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0);
    CHECK(wait_mask_epoll(epoll_fd) == 0);
    CHECK(!wait_may_have_reported(&vlisten_table[0], fd));
    CHECK(wait_translate(wait_mask_epoll(epoll_fd), epoll_fd, &event, 1) == 1);
    CHECK(wait_may_have_reported(&vlisten_table[0], fd));
    CHECK(!wait_may_have_reported(&vlisten_table[0], fd)); /* once */
    CHECK(wait_mask_epoll(epoll_fd) == 1);
    drop_epoll(epoll_fd);
    record_drop(0);
}

static void an_idle_loop_takes_its_turn_at_the_backlog(void)
{
    struct epoll_event event;
    int fd = record_make(0, true);
    int epoll_fd = make_epoll(fd, 5);
    int client_fd = record_connect(0);

    CHECK(wait_take_turn(1, epoll_fd, &event, 1) == 0); /* nobody said that something waits */
    board->broker.queue_waits = BOARD_BACKLOG;
    CHECK(wait_take_turn(1, epoll_fd, &event, 1) == 1 && event.data.u64 == 5);
    CHECK(event.events == EPOLLIN && direct_was_told(&vlisten_table[0]));
    board->worker.direct = 1; /* it has one open */
    CHECK(wait_take_turn(1, epoll_fd, &event, 1) == 0);
    close(client_fd);
    drop_epoll(epoll_fd);
    record_drop(0);
}

/* The broker took it back between the wait and the look. */
static void of_a_listener_that_blocks_only_what_is_there_is_reported(void)
{
    struct epoll_event events[2] = {{.events = EPOLLIN, .data.u64 = 5},
                                    {.events = EPOLLIN, .data.u64 = 6}};
    int fd = record_make(0, false);
    int epoll_fd = make_epoll(fd, 5);

    CHECK(wait_translate(wait_mask_epoll(epoll_fd), epoll_fd, events, 2) == 1 &&
          events[0].data.u64 == 6);
    record_offer(0, 2);
    events[0].data.u64 = 5;
    CHECK(wait_translate(wait_mask_epoll(epoll_fd), epoll_fd, events, 1) == 1 &&
          events[0].data.u64 == 5);
    CHECK(board->worker.flags & BOARD_ANNOUNCED);
    drop_epoll(epoll_fd);
    record_drop(0);
}

int main(void)
{
    unit_run("wait: waiting is raised and lowered", waiting_is_raised_and_lowered);
    unit_run("wait: one thread wakes the broker for what waits",
             one_thread_wakes_the_broker_for_what_waits);
    unit_run("wait: poll and select wait for what they look at",
             poll_and_select_wait_for_what_they_look_at);
    unit_run("wait: an epoll fd has the listeners that were added",
             an_epoll_fd_has_the_listeners_that_were_added);
    unit_run("wait: what cannot be reported is waited for all the same",
             what_cannot_be_reported_is_waited_for_all_the_same);
    unit_run("wait: a registration that was not seen is learnt",
             a_registration_that_was_not_seen_is_learnt);
    unit_run("wait: an idle loop takes its turn at the backlog",
             an_idle_loop_takes_its_turn_at_the_backlog);
    unit_run("wait: of a listener that blocks only what is there is reported",
             of_a_listener_that_blocks_only_what_is_there_is_reported);
    return unit_end();
}
