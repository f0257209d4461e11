/* conn_log.c - see conn_log.h. */
#include "broker/operate/tell/conn_log.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/address.h"
#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/log/batch.h"
#include "broker/base/log/sink.h"
#include "broker/base/loop.h"
#include "broker/base/turn.h"
#include "broker/handout/dispatch.h"
#include "broker/operate/tell/conn_table.h"
#include "broker/pool/channel.h"
#include "broker/pool/worker.h"

#define LOOKS_A_SWEEP 500    /* of which each asks the kernel */
#define RECORDS_A_SWEEP 4000 /* with those that a list answers */
#define REST 9               /* a sweep is followed by so many times its duration without one, */
#define BUSY 50              /* and one of so many records */
#define REST_BUSY_MS 100     /* by so long: many are due then, and a list is worth it */
#define LIST_WORTH 512       /* looks that a list saves: it costs as much as 100 to 250 of them */
#define LIST_SHARE 4         /* and as one for so many connections that are open */
#define LIST_MAX 8192        /* of these: a longer one takes too long a turn */
#define PORTS_MAX 8
#define FACTS_MAX 8
#define MESSAGE_SIZE (2 * SOCKET_KEY_TEXT_MAX + 128)

static struct batch lines = {.sink.fd = -1};
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

static void close_sink(void)
{
    if (lines.sink.fd > STDERR_FILENO)
        close(lines.sink.fd);
    lines.sink.fd = -1;
}

bool conn_log_open(void)
{
    if (!is_standard_output())
        return sink_open_file(&lines.sink, broker.config.conn_log) == 0;
    close_sink();
    sink_open_standard(&lines.sink, STDOUT_FILENO);
    return true;
}

bool conn_log_reopen(void)
{
    return is_standard_output() || sink_open_file(&lines.sink, broker.config.conn_log) == 0;
}

uint64_t conn_log_dropped(void)
{
    return lines.dropped;
}

static enum line_form form(void)
{
    return broker.config.log_format == LOG_FORMAT_JSON    ? LINE_JSON
           : broker.config.log_format == LOG_FORMAT_HUMAN ? LINE_DATED
                                                          : LINE_LOGFMT;
}

/* --- what they say --- */

/* What is known of one connection. */
struct story {
    char client[SOCKET_KEY_TEXT_MAX];
    char sender[SOCKET_KEY_TEXT_MAX]; /* "": the client itself */
    char listener[SOCKET_KEY_TEXT_MAX];
    unsigned slot;
    int64_t wait_ms, open_ms; /* -1: not known */
};

/* For people. */
static const char *describe(const struct story *story, char text[MESSAGE_SIZE])
{
    int used = snprintf(text, MESSAGE_SIZE, "connection of %s to %s: worker %u", story->client,
                        story->listener, story->slot);

    if (story->wait_ms >= 0)
        used += snprintf(text + used, MESSAGE_SIZE - (size_t)used, ", waited %" PRId64 " ms",
                         story->wait_ms);
    if (story->open_ms >= 0)
        used += snprintf(text + used, MESSAGE_SIZE - (size_t)used, ", open for %" PRId64 " ms",
                         story->open_ms);
    if (*story->sender)
        snprintf(text + used, MESSAGE_SIZE - (size_t)used, ", by %s", story->sender);
    return text;
}

static void tell(const struct story *story)
{
    struct log_fact facts[FACTS_MAX];
    char message[MESSAGE_SIZE];
    unsigned count = 0;

    facts[count++] = (struct log_fact)LOG_TEXT("client", story->client);
    if (*story->sender)
        facts[count++] = (struct log_fact)LOG_TEXT("sender", story->sender);
    facts[count++] = (struct log_fact)LOG_TEXT("listener", story->listener);
    facts[count++] = (struct log_fact)LOG_NUMBER("worker", story->slot);
    if (story->wait_ms >= 0)
        facts[count++] = (struct log_fact)LOG_NUMBER("wait_ms", story->wait_ms);
    if (story->open_ms >= 0)
        facts[count++] = (struct log_fact)LOG_NUMBER("open_ms", story->open_ms);
    facts[count] = (struct log_fact){.name = NULL};
    batch_add(
        &lines, form(),
        &(struct log_record){.time_ms = turn_read_us(CLOCK_REALTIME) / 1000,
                             .level = LOG_LEVEL_NORMAL,
                             .event = LOG_CONNECTION,
                             .facts = facts,
                             .message = form() == LINE_DATED ? describe(story, message) : NULL},
        broker.name);
}

static void format_address(const union conn_address *from, char *text)
{
    struct address address = {.len = from->family == AF_INET ? sizeof from->in : sizeof from->in6};

    memcpy(&address.storage, from, sizeof *from);
    address_format(&address, text);
}

/* Its sender is the other end of the connection itself. */
static void format_sender(const struct sock_diag_key *key, char *text)
{
    union conn_address sender = {.family = key->family};

    sender.in.sin_port = key->peer_port; /* in the same place in both */
    if (key->family == AF_INET)
        memcpy(&sender.in.sin_addr, key->peer, sizeof sender.in.sin_addr);
    else
        memcpy(&sender.in6.sin6_addr, key->peer, sizeof sender.in6.sin6_addr);
    format_address(&sender, text);
}

static void tell_conn(const struct conn_kept *conn, int64_t open_ms)
{
    struct story story = {.slot = conn->slot, .wait_ms = conn->wait_ms, .open_ms = open_ms};

    format_address(&conn->client, story.client);
    format_address(&conn->listener, story.listener);
    if (conn->has_sender)
        format_sender(&conn->key, story.sender);
    tell(&story);
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

static bool is_worth_a_list(const struct conn *conn)
{
    uint32_t count = conn_table_count();

    return count <= LIST_MAX &&
           conn_table_has_due(conn, LIST_WORTH + count / LIST_SHARE, sweep.at_ms);
}

static bool is_listed(const struct conn *conn)
{
    const struct sock_diag_key *key = &conn->kept->key;

    for (unsigned i = 0; i < sweep.port_count; i++)
        if (sweep.ports[i].family == key->family && sweep.ports[i].number == key->local_port)
            return sweep.ports[i].is_listed;
    if (sweep.port_count == PORTS_MAX)
        return false;
    struct port *port = &sweep.ports[sweep.port_count++];
    *port = (struct port){.family = key->family, .number = key->local_port};
    port->is_listed =
        is_worth_a_list(conn) && sock_diag_list(key->family, key->local_port, on_open);
    return port->is_listed;
}

/* It is over if the second list in turn does not have it. */
static enum sock_diag_answer read_list(struct conn *conn)
{
    if (conn->list == sweep.number)
        conn->unlisted_ms = 0;
    else if (conn->unlisted_ms)
        return SOCK_DIAG_CLOSED;
    else
        conn->unlisted_ms = sweep.at_ms;
    return SOCK_DIAG_OPEN;
}

static enum sock_diag_answer ask(struct conn *conn)
{
    enum sock_diag_answer answer = sock_diag_ask(&conn->kept->key);

    sweep.looks++;
    if (answer == SOCK_DIAG_OPEN)
        conn->unlisted_ms = 0;
    return answer;
}

/* Tells of it if it is over, or its end cannot be known: then true. */
static bool tell_if_over(struct conn *conn, enum sock_diag_answer answer)
{
    int64_t over_ms = conn->unlisted_ms ? conn->unlisted_ms : sweep.at_ms;

    if (answer == SOCK_DIAG_OPEN)
        return false;
    tell_conn(conn->kept, answer == SOCK_DIAG_CLOSED ? over_ms - conn->kept->handed_ms : -1);
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
    begin_sweep(begin_us / 1000);
    for (; count < RECORDS_A_SWEEP && sweep.looks < LOOKS_A_SWEEP; count++) {
        if (!(conn = conn_table_first()) || conn->due_ms > sweep.at_ms)
            break;
        if (tell_if_over(conn, is_listed(conn) ? read_list(conn) : ask(conn)))
            conn_table_remove(conn);
        else
            conn_table_put_off(conn, sweep.at_ms);
    }
    batch_flush(&lines);
    int64_t rest_ms = REST * (turn_read_us(CLOCK_MONOTONIC) - begin_us) / 1000;
    if (count >= BUSY && rest_ms < REST_BUSY_MS)
        rest_ms = REST_BUSY_MS;
    rest_until_ms = sweep.at_ms + rest_ms;
    expect(sweep.at_ms);
}

/* --- its beginning --- */

/* One whose end nobody tells us. */
static void tell_at_once(const struct listener *listener, unsigned slot,
                         const struct wire_offer *offer, int64_t wait_ms)
{
    struct address client = {.len = offer->addr_len};
    struct story story = {.slot = slot, .wait_ms = wait_ms, .open_ms = -1};

    memcpy(&client.storage, offer->addr, offer->addr_len);
    address_format(&client, story.client);
    socket_key_format(&listener->socket, &listener->bound, story.listener);
    tell(&story);
    batch_flush(&lines);
}

static bool is_tcp(const struct listener *listener, const struct wire_offer *offer)
{
    return listener->socket.netns == 0 && offer->addr_len <= sizeof(union conn_address) &&
           (listener->bound.storage.ss_family == AF_INET ||
            listener->bound.storage.ss_family == AF_INET6);
}

/* In the table before it is sent: a next broker has its line then. If it is handed out again, its
 * record is replaced. */
static bool note(const struct channel *channel, const struct take_connection *connection,
                 int64_t wait_ms)
{
    const struct listener *listener = channel->listener;
    const struct wire_offer *offer = &connection->offer;
    int64_t at_ms = turn_read_ms();
    struct conn_kept conn = {
        .slot = worker_slot(channel->worker), .handed_ms = at_ms, .wait_ms = wait_ms};

    if (!is_tcp(listener, offer) || !sock_diag_identify(connection->fd, &conn.key))
        return false;
    conn.has_sender = listener->front.accept_proxy != ACCEPT_PROXY_NONE;
    memcpy(&conn.client, offer->addr, offer->addr_len);
    memcpy(&conn.listener, &listener->bound.storage, sizeof conn.listener);
    bool is_noted = conn_table_add(&conn, at_ms);
    expect(at_ms);
    return is_noted;
}

static void on_hand(const struct channel *channel, const struct take_connection *connection,
                    int64_t wait_ms, bool is_sent)
{
    static bool is_noted;

    if (!is_sent)
        is_noted = note(channel, connection, wait_ms);
    else if (!is_noted)
        tell_at_once(channel->listener, worker_slot(channel->worker), &connection->offer, wait_ms);
}

/* Takes fd: the table of the broker before. */
static void begin(int fd)
{
    timer.on_time = on_time;
    if (conn_table_open(fd, turn_read_ms()) < 0) {
        log_error("cannot note connections for --conn-log: %s; check the memory limits of this "
                  "process",
                  strerror(errno));
        return;
    }
    dispatch_set_observer(on_hand);
    expect(turn_read_ms());
}

void conn_log_begin(void)
{
    if (conn_log_is_on())
        begin(runtime.connections_fd);
    else
        conn_table_give_up(runtime.connections_fd);
}

/* Without a question for each: that would be a long turn. */
static void end(void)
{
    struct conn *conn;

    dispatch_set_observer(NULL);
    loop_stop_timer(&timer);
    while ((conn = conn_table_first()) != NULL) {
        tell_conn(conn->kept, -1);
        conn_table_remove(conn);
    }
    batch_flush(&lines);
    conn_table_close();
    close_sink();
}

void conn_log_reread(bool was_on)
{
    if (!conn_log_is_on()) {
        end();
        return;
    }
    batch_flush(&lines);
    if (!conn_log_open())
        log_error("cannot open %s for --conn-log: %s; %s%s", broker.config.conn_log,
                  strerror(errno),
                  was_on ? "lines go where they went" : "there are none until 'sshim reopen'",
                  errno == EPERM ? "; a broker with --user or --sandbox that wrote no file before "
                                   "may not begin to: start it again"
                                 : "");
    if (!was_on)
        begin(-1);
}

void conn_log_finish(void)
{
    struct conn *conn;

    begin_sweep(turn_read_ms());
    while (conn_log_is_on() && (conn = conn_table_first()) != NULL) {
        if (!tell_if_over(conn, ask(conn)))
            tell_conn(conn->kept, -1);
        conn_table_remove(conn);
    }
    batch_flush(&lines);
}
