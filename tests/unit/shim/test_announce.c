/* test_announce.c - shim/take/announce.c: what a wait has reported is there, or is not reported. */
#include "shim/take/announce.h"

#include <errno.h>

#include "record.h"

static struct vlisten *const listener = &vlisten_table[0];
static struct board *const board = &record_boards[0];

static bool is_announced(void)
{
    return board->worker.flags & BOARD_ANNOUNCED;
}

static void an_offer_is_announced_until_it_is_accepted(void)
{
    int fd = record_make(0, false);

    record_offer(0, 2);
    CHECK(announce_confirm(listener, fd) && is_announced());
    CHECK(announce_consume(listener) && !is_announced());
    CHECK(board->worker.flags & BOARD_ACCEPTING);
    announce_end(listener);
    CHECK(!(board->worker.flags & BOARD_ACCEPTING));
    CHECK(!announce_consume(listener)); /* once */
    record_drop(0);
}

static void what_was_taken_back_is_not_reported(void)
{
    int fd = record_make(0, false);

    errno = 0;
    CHECK(!announce_confirm(listener, fd) && !is_announced() && errno == 0);
    record_drop(0);
}

static void a_recall_is_waited_for_and_no_longer_than_20_ms(void)
{
    record_make(0, false);
    CHECK(!announce_await_recall(listener));
    board->broker.recalling = 1; /* a broker that was stopped in between */
    CHECK(announce_await_recall(listener));
    record_drop(0);
}

static void a_listener_that_does_not_block_needs_nothing(void)
{
    int fd = record_make(0, true);

    CHECK(!announce_concerns(1));
    CHECK(announce_confirm(listener, fd) && !is_announced());
    announce_insist(listener);
    CHECK(!is_announced());
    record_drop(0);
    record_make(1, false);
    CHECK(announce_concerns(2) && !announce_concerns(0));
    record_drop(1);
}

static void poll_is_told_what_is_there(void)
{
    struct pollfd fds[2] = {{.fd = record_make(0, false), .events = POLLIN, .revents = POLLIN},
                            {.fd = record_make(1, false), .events = POLLIN, .revents = POLLIN}};

    record_offer(1, 2);
    CHECK(announce_check_poll(fds, 2, 2) == 1);
    CHECK(fds[0].revents == 0 && fds[1].revents == POLLIN);
    CHECK(!is_announced() && (record_boards[1].worker.flags & BOARD_ANNOUNCED));
    fds[1].revents = 0; /* another wait, which saw nothing */
    CHECK(announce_check_poll(fds, 2, 0) == 0);
    CHECK(!(record_boards[1].worker.flags & BOARD_ANNOUNCED));
    record_drop(0);
    record_drop(1);
}

static void select_is_told_what_is_there(void)
{
    int fd = record_make(0, false);
    fd_set asked, readable;

    FD_ZERO(&asked);
    FD_SET(fd, &asked);
    readable = asked;
    CHECK(announce_check_select(fd + 1, &asked, &readable, 1) == 0 && !FD_ISSET(fd, &readable));
    record_offer(0, 2);
    FD_SET(fd, &readable);
    CHECK(announce_check_select(fd + 1, &asked, &readable, 1) == 1 && FD_ISSET(fd, &readable));
    CHECK(is_announced());
    /* what was asked is not known: nothing is taken out, and accept will not block */
    announce_withdraw(listener);
    CHECK(announce_check_select(fd + 1, NULL, &readable, 1) == 1 && is_announced());
    record_drop(0);
}

static void what_was_waited_for_before_it_was_known_counts(void)
{
    int fd = record_make(0, false);

    announce_note_unseen(UINT64_C(1) << (fd & 63));
    announce_by_unseen(listener, fd);
    CHECK(is_announced());
    announce_withdraw_all(1);
    announce_note_unseen(0);
    announce_by_unseen(listener, fd);
    CHECK(!is_announced());
    record_drop(0);
}

static void where_the_broker_has_died_the_canonical_socket_is_looked_at(void)
{
    int fd = record_make(0, false);

    close(record_broker_fds[0]);
    record_broker_fds[0] = -1;
    CHECK(!announce_confirm(listener, fd)); /* from now on fd is that socket */
    CHECK(listener->direct);
    int client_fd = record_connect(0);
    CHECK(announce_confirm(listener, fd));
    close(client_fd);
    record_drop(0);
}

int main(void)
{
    unit_run("announce: an offer is announced until it is accepted",
             an_offer_is_announced_until_it_is_accepted);
    unit_run("announce: what was taken back is not reported", what_was_taken_back_is_not_reported);
    unit_run("announce: a recall is waited for, and no longer than 20 ms",
             a_recall_is_waited_for_and_no_longer_than_20_ms);
    unit_run("announce: a listener that does not block needs nothing",
             a_listener_that_does_not_block_needs_nothing);
    unit_run("announce: poll is told what is there", poll_is_told_what_is_there);
    unit_run("announce: select is told what is there", select_is_told_what_is_there);
    unit_run("announce: what was waited for before it was known counts",
             what_was_waited_for_before_it_was_known_counts);
    unit_run("announce: where the broker has died the canonical socket is looked at",
             where_the_broker_has_died_the_canonical_socket_is_looked_at);
    return unit_end();
}
