/* test_accept.c - shim/accept/accept.c: an offer becomes a connection of the program. */
#include "shim/accept/accept.h"

#include <errno.h>
#include <netinet/in.h>

#include "record.h"
#include "shim/take/direct.h"

static struct vlisten *const listener = &vlisten_table[0];
static struct board *const board = &record_boards[0];

static int take(int fd, int flags)
{
    return accept_connection(listener, fd, NULL, NULL, flags);
}

static void offer_from(struct sockaddr_in peer, uint32_t flags)
{
    struct wire_offer offer = {
        .head = WIRE_HEAD(WIRE_OFFER), .flags = flags, .addr_len = sizeof peer};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    memcpy(offer.addr, &peer, sizeof peer);
    board->broker.sent++;
    CHECK(fdpass_send(record_broker_fds[0], &offer, WIRE_OFFER_MIN + sizeof peer, fd, 0) == 0);
    close(fd);
}

static void an_offer_becomes_a_connection(void)
{
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = 7}, got = {0};
    socklen_t len = sizeof got;
    int fd = record_make(0, true);

    offer_from(peer, 0);
    errno = 0;
    int conn_fd = accept_connection(listener, fd, (struct sockaddr *)&got, &len, SOCK_CLOEXEC);
    CHECK(conn_fd >= 0 && errno == 0 && board->worker.taken == 1);
    CHECK(len == sizeof peer && memcmp(&got, &peer, sizeof peer) == 0);
    CHECK(fcntl(conn_fd, F_GETFD) == FD_CLOEXEC && !(fcntl(conn_fd, F_GETFL) & O_NONBLOCK));
    close(conn_fd);
    record_drop(0);
}

/* accept(2): the address is cut to the room given, and the length is what it would have needed. */
static void a_short_room_cuts_the_address(void)
{
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = 7};
    char got[sizeof peer] = {0};
    socklen_t len = 3;
    int fd = record_make(0, true);

    offer_from(peer, 0);
    close(accept_connection(listener, fd, (struct sockaddr *)got, &len, 0));
    CHECK(len == sizeof peer && memcmp(got, &peer, 3) == 0 && got[3] == 0);
    record_drop(0);
}

static void the_flags_are_those_of_the_call(void)
{
    int fd = record_make(0, true);

    offer_from((struct sockaddr_in){0}, WIRE_OFFER_NONBLOCK);
    int conn_fd = take(fd, SOCK_NONBLOCK);
    CHECK(fcntl(conn_fd, F_GETFD) == 0 && (board->worker.flags & BOARD_WANTS_NONBLOCK));
    close(conn_fd);
    offer_from((struct sockaddr_in){0}, 0);
    conn_fd = take(fd, SOCK_NONBLOCK);
    CHECK(fcntl(conn_fd, F_GETFL) & O_NONBLOCK);
    close(conn_fd);
    offer_from((struct sockaddr_in){0}, 0);
    conn_fd = take(fd, 0);
    CHECK(!(board->worker.flags & BOARD_WANTS_NONBLOCK));
    close(conn_fd);
    record_drop(0);
}

static void what_the_call_gives_wrong_is_refused(void)
{
    socklen_t len = (socklen_t)-1;
    char room[4];
    int fd = record_make(0, true);

    CHECK(take(fd, 1) == -1 && errno == EINVAL);
    CHECK(accept_connection(listener, fd, (struct sockaddr *)room, &len, 0) == -1);
    CHECK(errno == EAGAIN); /* accept(2) looks at it when a connection is there */
    offer_from((struct sockaddr_in){0}, 0);
    CHECK(accept_connection(listener, fd, (struct sockaddr *)room, &len, 0) == -1);
    CHECK(errno == EINVAL);
    CHECK(accept_connection(listener, fd, (struct sockaddr *)room, (socklen_t *)16, 0) == -1);
    CHECK(errno == EFAULT && board->worker.taken == 0);
    board->worker.flags &= ~BOARD_LISTENING;
    CHECK(take(fd, 0) == -1 && errno == EINVAL);
    record_drop(0);
}

static void what_is_no_offer_is_skipped(void)
{
    struct wire_head strange = WIRE_HEAD(WIRE_BOARD);
    int fd = record_make(0, true);

    CHECK(send(record_broker_fds[0], "x", 1, 0) == 1);
    CHECK(fdpass_send(record_broker_fds[0], &strange, sizeof strange, 2, 0) == 0);
    CHECK(take(fd, 0) == -1 && errno == EAGAIN && board->worker.taken == 0);
    record_drop(0);
}

static void an_offer_without_its_descriptor_is_lost_and_counted(void)
{
    struct wire_offer offer = {.head = WIRE_HEAD(WIRE_OFFER)};
    int fd = record_make(0, true);

    CHECK(fdpass_send(record_broker_fds[0], &offer, WIRE_OFFER_MIN, -1, 0) == 0);
    CHECK(take(fd, 0) == -1 && errno == EAGAIN);
    CHECK(board->worker.taken == 1 && board->worker.lost == 1);
    record_drop(0);
}

static void a_listener_that_was_shut_says_so(void)
{
    int fd = record_make(0, true);

    board->worker.flags |= BOARD_SHUT;
    shutdown(record_broker_fds[0], SHUT_RDWR);
    CHECK(take(fd, 0) == -1 && errno == EINVAL);
    record_drop(0);
}

static void a_worker_whose_waiting_cannot_be_seen_tells_of_each(void)
{
    int fd = record_make(0, true);

    board->broker.flags = BOARD_WAIT_INVISIBLE;
    board->broker.queue_waits = BOARD_ASK;
    offer_from((struct sockaddr_in){0}, 0);
    close(take(fd, 0));
    CHECK(record_told(0) == WIRE_WAKE);
    record_drop(0);
}

static void after_the_broker_the_canonical_socket_gives(void)
{
    int fd = record_make(0, true);

    close(record_broker_fds[0]);
    record_broker_fds[0] = -1;
    int client_fd = record_connect(0);
    int conn_fd = take(fd, 0);
    CHECK(conn_fd >= 0 && listener->direct && board->worker.direct == 1);
    CHECK(take(fd, 0) == -1 && errno == EAGAIN);
    close(conn_fd);
    close(client_fd);
    record_drop(0);
}

/* A loop was told of a connection; then the broker began to look at each. */
static void what_the_broker_must_see_is_not_taken_past_it(void)
{
    int fd = record_make(0, true);
    int client_fd = record_connect(0);

    direct_tell(listener);
    board->broker.flags = BOARD_THROUGH;
    CHECK(take(fd, 0) == -1 && errno == EAGAIN && board->worker.direct == 0);
    board->broker.flags = 0;
    direct_tell(listener);
    int conn_fd = take(fd, 0);
    CHECK(conn_fd >= 0 && board->worker.direct == 1);
    close(conn_fd);
    close(client_fd);
    record_drop(0);
}

int main(void)
{
    unit_run("accept: an offer becomes a connection", an_offer_becomes_a_connection);
    unit_run("accept: a short room cuts the address", a_short_room_cuts_the_address);
    unit_run("accept: the flags are those of the call", the_flags_are_those_of_the_call);
    unit_run("accept: what the call gives wrong is refused", what_the_call_gives_wrong_is_refused);
    unit_run("accept: what is no offer is skipped", what_is_no_offer_is_skipped);
    unit_run("accept: an offer without its descriptor is lost, and counted",
             an_offer_without_its_descriptor_is_lost_and_counted);
    unit_run("accept: a listener that was shut says so", a_listener_that_was_shut_says_so);
    unit_run("accept: a worker whose waiting cannot be seen tells of each",
             a_worker_whose_waiting_cannot_be_seen_tells_of_each);
    unit_run("accept: what the broker must see is not taken past it",
             what_the_broker_must_see_is_not_taken_past_it);
    unit_run("accept: after the broker the canonical socket gives",
             after_the_broker_the_canonical_socket_gives);
    return unit_end();
}
