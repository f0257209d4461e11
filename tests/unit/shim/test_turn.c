/* test_turn.c - shim/take/turn.c: what poll and select report past the broker. */
#include "shim/take/turn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "record.h"
#include "shim/take/direct.h"

static struct board *const board = &record_boards[0];

/* A listener for whose pool a connection waits; *client_fd is its client. */
static int make_wanted(int *client_fd)
{
    int fd = record_make(0, true);

    *client_fd = record_connect(0);
    board->broker.queue_waits = BOARD_BACKLOG;
    return fd;
}

static void drop(int client_fd)
{
    close(client_fd);
    record_drop(0);
}

static void poll_reports_what_waits_for_all(void)
{
    int client_fd, fd = make_wanted(&client_fd);
    int silent_fds[2];
    CHECK(pipe(silent_fds) == 0);
    struct pollfd fds[] = {{.fd = silent_fds[0], .events = POLLIN, .revents = 7},
                           {.fd = fd, .events = POLLIN}};

    CHECK(turn_poll(1, fds, 2) == 1 && fds[0].revents == 0 && fds[1].revents == POLLIN);
    CHECK(direct_was_told(&vlisten_table[0]) && board->worker.waits == 1);
    board->broker.queue_waits = BOARD_QUEUE_EMPTY;
    CHECK(turn_poll(1, fds, 2) == 0 && !direct_was_told(&vlisten_table[0]));
    close(silent_fds[0]);
    close(silent_fds[1]);
    drop(client_fd);
}

/* Another worker could serve the connection sooner. */
static void what_else_is_ready_comes_first(void)
{
    int client_fd, fd = make_wanted(&client_fd);
    int pair[2];
    fd_set readable;
    CHECK(pipe(pair) == 0 && write(pair[1], "x", 1) == 1);
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = pair[0], .events = POLLIN}};

    CHECK(turn_poll(1, fds, 2) == 1 && fds[0].revents == 0 && fds[1].revents == POLLIN);
    FD_ZERO(&readable);
    FD_SET(fd, &readable);
    FD_SET(pair[0], &readable);
    CHECK(turn_select(1, FD_SETSIZE, &readable, NULL, NULL) == 1);
    CHECK(FD_ISSET(pair[0], &readable) && !FD_ISSET(fd, &readable));
    CHECK(!FD_ISSET(vlisten_table[0].shadow_fd, &readable));
    CHECK(!direct_was_told(&vlisten_table[0]));
    close(pair[0]);
    close(pair[1]);
    drop(client_fd);
}

static void select_reports_what_waits_for_all(void)
{
    int client_fd, fd = make_wanted(&client_fd);
    fd_set readable, writable;

    FD_ZERO(&readable);
    FD_ZERO(&writable);
    FD_SET(fd, &readable);
    CHECK(turn_select(1, fd + 1, &readable, &writable, NULL) == 1 && FD_ISSET(fd, &readable));
    CHECK(direct_was_told(&vlisten_table[0]));
    drop(client_fd);
}

/* select(2) writes its answer over the question, which the wait that follows still needs. Sets are
 * as long as the highest number needs. */
static void a_vain_turn_leaves_the_question(void)
{
    int fd = record_make(0, true);
    int size = (fd / 64 + 1) * 8;
    fd_set *readable = calloc(1, (size_t)size);

    board->broker.queue_waits = BOARD_BACKLOG;
    FD_SET(fd, readable);
    CHECK(turn_select(1, fd + 1, readable, NULL, NULL) == 0 && FD_ISSET(fd, readable));
    CHECK(!direct_was_told(&vlisten_table[0]));
    free(readable);
    record_drop(0);
}

static void looks_in_vain_come_to_an_end(void)
{
    int fd = record_make(0, true);
    struct pollfd polled = {.fd = fd, .events = POLLIN};

    board->broker.flags = BOARD_LOOK;
    vlisten_table[0].looks = 2;
    CHECK(turn_poll(1, &polled, 1) == 0 && turn_poll(1, &polled, 1) == 0);
    CHECK(vlisten_table[0].looks == 0 && board->worker.waits == 2);
    CHECK(turn_poll(1, &polled, 1) == 0 && board->worker.waits == 2);
    record_drop(0);
}

/* accept would have to wait where another process was faster. */
static void a_listener_that_blocks_is_the_brokers(void)
{
    int client_fd, fd = make_wanted(&client_fd);
    struct pollfd polled = {.fd = fd, .events = POLLIN};

    vlisten_set_nonblock(&vlisten_table[0], false);
    CHECK(turn_poll(1, &polled, 1) == 0);
    drop(client_fd);
}

static void many_descriptors_are_the_brokers(void)
{
    int client_fd, fd = make_wanted(&client_fd);
    struct pollfd fds[TURN_FDS + 1] = {{.fd = fd, .events = POLLIN}};

    for (int i = 1; i <= TURN_FDS; i++)
        fds[i].fd = -1;
    CHECK(turn_poll(1, fds, TURN_FDS + 1) == 0);
    CHECK(turn_poll(1, fds, TURN_FDS) == 1);
    drop(client_fd);
}

static void listeners_come_first_in_turn(void)
{
    int client_fds[2];
    struct pollfd fds[2];

    for (int i = 0; i < 2; i++) {
        fds[i] = (struct pollfd){.fd = record_make((unsigned)i, true), .events = POLLIN};
        client_fds[i] = record_connect((unsigned)i);
        record_boards[i].broker.queue_waits = BOARD_BACKLOG;
    }
    CHECK(turn_poll(3, fds, 2) == 1);
    int first = fds[0].revents ? 0 : 1;
    CHECK(turn_poll(3, fds, 2) == 1 && fds[first].revents == 0 && fds[!first].revents == POLLIN);
    for (unsigned i = 0; i < 2; i++) {
        close(client_fds[i]);
        record_drop(i);
    }
}

/* The limit of descriptors, or a shadow that was closed meanwhile, is none of the program's. */
static void what_the_shadow_makes_fail_is_no_failure(void)
{
    int client_fd, fd = make_wanted(&client_fd);
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN, .revents = 7}};
    struct rlimit before, one;
    fd_set readable;

    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    one = before;
    one.rlim_cur = 1;
    CHECK(setrlimit(RLIMIT_NOFILE, &one) == 0);
    errno = 5;
    CHECK(turn_poll(1, fds, 1) == 0 && fds[0].revents == 7 && errno == 5);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    int shadow_fd = vlisten_table[0].shadow_fd;
    int kept_fd = dup(shadow_fd);
    close(shadow_fd);
    FD_ZERO(&readable);
    FD_SET(fd, &readable);
    CHECK(turn_select(1, FD_SETSIZE, &readable, NULL, NULL) == 0 && errno == 5);
    CHECK(FD_ISSET(fd, &readable));
    dup2(kept_fd, shadow_fd);
    close(kept_fd);
    CHECK(turn_poll(1, fds, 1) == 1);
    drop(client_fd);
}

int main(void)
{
    unit_run("turn: poll reports what waits for all", poll_reports_what_waits_for_all);
    unit_run("turn: what else is ready comes first", what_else_is_ready_comes_first);
    unit_run("turn: select reports what waits for all", select_reports_what_waits_for_all);
    unit_run("turn: a vain turn leaves the question", a_vain_turn_leaves_the_question);
    unit_run("turn: looks in vain come to an end", looks_in_vain_come_to_an_end);
    unit_run("turn: a listener that blocks is the broker's", a_listener_that_blocks_is_the_brokers);
    unit_run("turn: many descriptors are the broker's", many_descriptors_are_the_brokers);
    unit_run("turn: listeners come first in turn", listeners_come_first_in_turn);
    unit_run("turn: what the look past the broker makes fail is no failure of the program's",
             what_the_shadow_makes_fail_is_no_failure);
    return unit_end();
}
