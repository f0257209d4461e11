/* conn_log.c - see conn_log.h. */
#include "broker/operate/tell/conn_log.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/loop.h"
#include "broker/base/turn.h"
#include "broker/handout/dispatch.h"
#include "broker/operate/tell/conn_log/conn_claims.h"
#include "broker/operate/tell/conn_log/conn_line.h"
#include "broker/operate/tell/conn_log/conn_reading.h"
#include "broker/operate/tell/conn_log/conn_table.h"
#include "broker/pool/channel.h"
#include "broker/pool/worker.h"

#define LOOKS_A_SWEEP 500    /* of which each asks the kernel */
#define RECORDS_A_SWEEP 4000 /* with those that a list answers */
#define REST 9               /* a sweep is followed by so many times its duration without one, */
#define BUSY 50              /* and one of so many records */
#define REST_BUSY_MS 100     /* by so long: many are due then, and a list may be worth it */
#define LIST_WORTH 512       /* looks that a list has to save, */
#define LIST_SHARE 4         /* and one for so many connections that are open, */
#define QUESTION_US 2        /* and as many as took as long as the last list */
#define LIST_MEMORY_MS 60000 /* of which half is forgotten after this */
#define LIST_MAX 8192        /* of these: a longer one takes too long a turn */
#define PORTS_MAX 8

static struct loop_timer timer;
static int64_t next_sweep_ms, rest_until_ms; /* CLOCK_MONOTONIC; the timer is due; see REST */

bool conn_log_is_on(void)
{
    return broker.config.conn_log != NULL;
}

static bool is_standard_output(void)
{
    return strcmp(broker.config.conn_log, "-") == 0;
}

bool conn_log_reopen(void)
{
    return is_standard_output() || conn_line_open();
}

/* --- its end --- */

/* How this sweep learns of connections of one family and local port: by a list, if so many are due
 * that it costs less than a question for each. */
struct port {
    uint16_t family, number;
    bool is_listed;
};

static struct {
    int64_t at_ms;
    uint32_t number; /* of the sweep, never 0 */
    unsigned looks;
    struct port ports[PORTS_MAX];
    unsigned port_count;
} sweep;

static void begin_sweep(int64_t at_ms)
{
    sweep.at_ms = at_ms;
    sweep.number = sweep.number + 1 ? sweep.number + 1 : 1;
    sweep.looks = 0;
    sweep.port_count = 0;
}

static void on_open(uint64_t cookie)
{
    struct conn *conn = conn_table_find(cookie);

    if (conn)
        conn->list = sweep.number;
}

/* A list walks through all connections of this machine, also those in TIME_WAIT: with 70,000 of
 * them it takes 10 ms, as 4,000 questions. So the last one says what the next one costs. */
static struct {
    int64_t took_us, at_ms;
} last_list;

static bool is_worth_a_list(const struct conn *conn)
{
    uint32_t count = conn_table_count();
    int64_t halvings = (sweep.at_ms - last_list.at_ms) / LIST_MEMORY_MS;
    int64_t questions = halvings < 32 ? (last_list.took_us >> halvings) / QUESTION_US : 0;

    if (questions < LIST_WORTH)
        questions = LIST_WORTH;
    return count <= LIST_MAX && questions <= CONN_TABLE_MAX &&
           conn_table_has_due(conn, (uint32_t)questions + count / LIST_SHARE, sweep.at_ms);
}

static bool list(const struct sock_diag_key *key)
{
    int64_t begin_us = turn_read_us(CLOCK_MONOTONIC);
    bool is_done = sock_diag_list(key->family, key->local_port, on_open);

    last_list.at_ms = sweep.at_ms;
    last_list.took_us = turn_read_us(CLOCK_MONOTONIC) - begin_us;
    return is_done;
}

static bool is_listed(const struct conn *conn)
{
    const struct sock_diag_key *key = &conn->kept->key;

    if (conn->kept->turn)
        return false; /* a list tells cookies */
    for (unsigned i = 0; i < sweep.port_count; i++)
        if (sweep.ports[i].family == key->family && sweep.ports[i].number == key->local_port)
            return sweep.ports[i].is_listed;
    if (sweep.port_count == PORTS_MAX)
        return false;
    struct port *port = &sweep.ports[sweep.port_count++];
    *port = (struct port){.family = key->family, .number = key->local_port};
    port->is_listed = is_worth_a_list(conn) && list(key);
    return port->is_listed;
}

/* It is over if the second list in turn does not have it. */
static enum sock_diag_answer read_list(struct conn *conn)
{
    if (conn->list == sweep.number) {
        conn->unlisted_ms = 0;
        conn_claims_learn(conn, true);
    } else if (conn->unlisted_ms) {
        return SOCK_DIAG_CLOSED;
    } else {
        conn->unlisted_ms = sweep.at_ms;
    }
    return SOCK_DIAG_OPEN;
}

static enum sock_diag_answer ask(struct conn *conn)
{
    enum sock_diag_answer answer = sock_diag_find(&conn->kept->key);

    sweep.looks++;
    if (answer == SOCK_DIAG_OPEN) {
        conn->unlisted_ms = 0;
        conn_claims_learn(conn, true);
    }
    return answer;
}

/* Tells of it if it is over, or its end cannot be known: then true. */
static bool tell_if_over(struct conn *conn, enum sock_diag_answer answer)
{
    int64_t over_ms = conn->noted_ms      ? conn->noted_ms
                      : conn->unlisted_ms ? conn->unlisted_ms
                                          : sweep.at_ms;

    if (answer == SOCK_DIAG_OPEN)
        return false;
    if (answer == SOCK_DIAG_CLOSED)
        conn_claims_learn(conn, false);
    conn_line_tell(conn->kept, answer == SOCK_DIAG_CLOSED || conn->noted_ms
                                   ? over_ms - conn->kept->handed_ms
                                   : -1);
    return true;
}

/* The next sweep: when the first one is due, and not while there is a rest. */
static void expect(int64_t at_ms)
{
    struct conn *first = conn_table_first();

    if (!first)
        return;
    int64_t next_ms = first->due_ms > rest_until_ms ? first->due_ms : rest_until_ms;
    if (loop_timer_runs(&timer) && next_sweep_ms <= next_ms)
        return;
    next_sweep_ms = next_ms;
    loop_start_timer(&timer, next_ms > at_ms ? next_ms - at_ms : 0);
}

static void on_time(struct loop_timer *unused)
{
    int64_t begin_us = turn_read_us(CLOCK_MONOTONIC);
    struct conn *conn;
    int count = 0;

    (void)unused;
    conn_reading_look(begin_us / 1000); /* or we ask for what is told there */
    begin_sweep(begin_us / 1000);
    for (; count < RECORDS_A_SWEEP && sweep.looks < LOOKS_A_SWEEP; count++) {
        if (!(conn = conn_table_first()) || conn->due_ms > sweep.at_ms)
            break;
        if (tell_if_over(conn, is_listed(conn) ? read_list(conn) : ask(conn)))
            conn_table_remove(conn);
        else
            conn_table_put_off(conn, sweep.at_ms);
    }
    conn_line_flush();
    int64_t rest_ms = REST * (turn_read_us(CLOCK_MONOTONIC) - begin_us) / 1000;
    if (count >= BUSY && sweep.looks < LOOKS_A_SWEEP && rest_ms < REST_BUSY_MS)
        rest_ms = REST_BUSY_MS;
    rest_until_ms = sweep.at_ms + rest_ms;
    expect(sweep.at_ms);
}

/* --- its beginning --- */

static bool is_tcp(const struct listener *listener, const struct wire_offer *offer)
{
    return listener->socket.netns == 0 && offer->addr_len <= sizeof(union conn_address) &&
           (listener->bound.storage.ss_family == AF_INET ||
            listener->bound.storage.ss_family == AF_INET6);
}

/* In the table before it is sent: a next broker has its line then. If it is handed out again, its
 * record is replaced. */
static bool note(struct channel *channel, const struct take_connection *connection, int64_t wait_ms)
{
    const struct listener *listener = channel->listener;
    const struct wire_offer *offer = &connection->offer;
    int64_t at_ms = turn_read_ms();
    struct conn_kept conn = {.slot = worker_slot(channel->worker),
                             .handed_ms = at_ms,
                             .wait_ms = wait_ms,
                             .channel = channel->id};

    if (!is_tcp(listener, offer) || !sock_diag_identify(connection->fd, &conn.key))
        return false;
    conn.has_sender = listener->front.accept_proxy != ACCEPT_PROXY_NONE;
    memcpy(&conn.client, offer->addr, offer->addr_len);
    memcpy(&conn.listener, &listener->bound.storage, sizeof conn.listener);
    bool is_noted = conn_table_add(&conn, &channel->notes, conn_claims_level(channel), at_ms);
    expect(at_ms);
    return is_noted;
}

static void on_hand(struct channel *channel, const struct take_connection *connection,
                    int64_t wait_ms, bool is_sent)
{
    static bool is_noted;

    if (!is_sent)
        is_noted = note(channel, connection, wait_ms);
    else if (!is_noted)
        conn_line_tell_offer(channel->listener, worker_slot(channel->worker), &connection->offer,
                             wait_ms);
}

/* Takes fd: the table of the broker before. */
static void begin(int fd, bool is_new)
{
    timer.on_time = on_time;
    if (conn_table_open(fd, turn_read_ms()) < 0) {
        log_error("cannot note connections for --conn-log: %s; check the memory limits of this "
                  "process",
                  strerror(errno));
        return;
    }
    dispatch_set_observer(on_hand);
    conn_reading_begin(is_new, expect);
    expect(turn_read_ms());
}

void conn_log_begin(void)
{
    if (conn_log_is_on())
        begin(runtime.connections_fd, runtime.connections_fd < 0);
    else
        conn_table_give_up(runtime.connections_fd);
}

/* Without a question for each: that would be a long turn. */
static void end(void)
{
    struct conn *conn;

    dispatch_set_observer(NULL);
    conn_reading_end(turn_read_ms());
    loop_stop_timer(&timer);
    while ((conn = conn_table_first()) != NULL) {
        conn_line_tell(conn->kept, -1);
        conn_table_remove(conn);
    }
    conn_line_flush();
    conn_table_close();
    conn_line_close();
}

void conn_log_reread(bool was_on)
{
    if (!conn_log_is_on()) {
        end();
        return;
    }
    conn_line_flush();
    if (!conn_line_open())
        log_error("cannot open %s for --conn-log: %s; %s%s", broker.config.conn_log,
                  strerror(errno),
                  was_on ? "lines go where they went" : "there are none until 'sshim reopen'",
                  errno == EPERM ? "; a broker with --user or --sandbox that wrote no file before "
                                   "may not begin to: start it again"
                                 : "");
    if (!was_on)
        begin(-1, true);
}

void conn_log_finish(void)
{
    struct conn *conn;

    begin_sweep(turn_read_ms());
    while (conn_log_is_on() && (conn = conn_table_first()) != NULL) {
        if (!tell_if_over(conn, ask(conn)))
            conn_line_tell(conn->kept, -1);
        conn_table_remove(conn);
    }
    conn_line_flush();
}
