/* test_direct.c - shim/take/direct.c: when a worker may take past the broker. */
#include "shim/take/direct.h"

#include <errno.h>

#include "record.h"

static struct vlisten *const listener = &vlisten_table[0];
static struct board *const board = &record_boards[0];

static void nothing_older_is_passed_by(void)
{
    record_make(0, true);
    CHECK(direct_is_permitted(listener));
    board->broker.sent = 1; /* an offer is on its way */
    CHECK(!direct_is_permitted(listener));
    board->worker.taken = 1;
    CHECK(direct_is_permitted(listener));
    board->worker.flags |= BOARD_FDS_LOW;
    CHECK(!direct_is_permitted(listener));
    board->worker.flags &= ~BOARD_FDS_LOW;
    board->broker.flags = BOARD_DRAINING;
    CHECK(!direct_is_permitted(listener));
    record_drop(0);
}

/* Also by a loop that was told of a connection, or waits for one, before. */
static void nothing_passes_by_a_broker_that_must_see_it(void)
{
    record_make(0, true);
    CHECK(direct_is_free(listener) && direct_is_permitted(listener));
    board->broker.queue_waits = BOARD_BACKLOG;
    CHECK(direct_is_possible(listener));
    board->broker.flags = BOARD_THROUGH | BOARD_WAIT_EXCLUSIVE | BOARD_LOOK;
    CHECK(!direct_is_free(listener) && !direct_is_permitted(listener));
    CHECK(!direct_is_possible(listener));
    record_drop(0);
}

static void an_event_loop_is_free_without_connections(void)
{
    record_make(0, true);
    CHECK(direct_is_free(listener));
    board->worker.direct = 3;
    board->worker.closed = 2;
    CHECK(!direct_is_free(listener));
    board->worker.closed = 3;
    CHECK(direct_is_free(listener));
    vlisten_set_nonblock(listener, false);
    CHECK(!direct_is_free(listener));
    record_drop(0);
}

static void a_queue_is_tried_with_as_many_as_are_allowed(void)
{
    record_make(0, true);
    CHECK(!direct_is_possible(listener)); /* nobody said that something waits */
    board->broker.queue_waits = BOARD_BACKLOG;
    CHECK(direct_is_possible(listener));
    board->worker.direct = 1;
    CHECK(!direct_is_possible(listener));
    board->broker.allowance = 1;
    CHECK(direct_is_possible(listener));
    board->broker.queue_waits = BOARD_ASK; /* the broker has older ones */
    CHECK(!direct_is_possible(listener));
    record_drop(0);
}

/* Eight looks in vain after a success, no more. */
static void looking_ends_when_it_does_not_pay(void)
{
    record_make(0, true);
    board->broker.flags = BOARD_LOOK;
    CHECK(!direct_may_look(listener));
    int client_fd = record_connect(0);
    CHECK(direct_look(listener));
    int conn_fd = direct_take(listener, listener->fd, NULL, NULL, SOCK_CLOEXEC);
    CHECK(conn_fd >= 0 && board->worker.direct == 1);
    board->worker.closed = 1;
    for (int i = 0; i < 8; i++)
        CHECK(direct_may_look(listener) && !direct_look(listener));
    CHECK(!direct_may_look(listener));
    close(conn_fd);
    close(client_fd);
    record_drop(0);
}

static void an_empty_queue_gives_eagain(void)
{
    record_make(0, true);
    CHECK(direct_take(listener, listener->fd, NULL, NULL, 0) == -1 && errno == EAGAIN);
    CHECK(board->worker.direct == 0);
    record_drop(0);
}

static void what_is_told_is_true_once(void)
{
    record_make(0, true);
    CHECK(!direct_was_told(listener));
    direct_tell(listener);
    CHECK(direct_was_told(listener) && !direct_was_told(listener));
    record_drop(0);
}

int main(void)
{
    unit_run("direct: nothing older is passed by", nothing_older_is_passed_by);
    unit_run("direct: nothing passes by a broker that must see it",
             nothing_passes_by_a_broker_that_must_see_it);
    unit_run("direct: an event loop is free without connections",
             an_event_loop_is_free_without_connections);
    unit_run("direct: a queue is tried with as many connections as are allowed",
             a_queue_is_tried_with_as_many_as_are_allowed);
    unit_run("direct: looking ends when it does not pay", looking_ends_when_it_does_not_pay);
    unit_run("direct: an empty queue gives EAGAIN", an_empty_queue_gives_eagain);
    unit_run("direct: what an event loop is told is true once", what_is_told_is_true_once);
    return unit_end();
}
