/* conn_line.c - see conn_line.h. */
#include "broker/operate/tell/conn_log/conn_line.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/address.h"
#include "broker/base/broker.h"
#include "broker/base/log/batch.h"
#include "broker/base/log/sink.h"
#include "broker/base/turn.h"

#define FACTS_MAX 8
#define MESSAGE_SIZE (2 * SOCKET_KEY_TEXT_MAX + 128)

static struct batch lines = {.sink.fd = -1};

void conn_line_close(void)
{
    if (lines.sink.fd > STDERR_FILENO)
        close(lines.sink.fd);
    lines.sink.fd = -1;
}

bool conn_line_open(void)
{
    if (strcmp(broker.config.conn_log, "-") != 0)
        return sink_open_file(&lines.sink, broker.config.conn_log) == 0;
    conn_line_close();
    sink_open_standard(&lines.sink, STDOUT_FILENO);
    return true;
}

void conn_line_flush(void)
{
    batch_flush(&lines);
}

void conn_line_drop(uint32_t count)
{
    batch_drop(&lines, count);
}

uint64_t conn_line_dropped(void)
{
    return lines.dropped;
}

static enum line_form form(void)
{
    return broker.config.log_format == LOG_FORMAT_JSON    ? LINE_JSON
           : broker.config.log_format == LOG_FORMAT_HUMAN ? LINE_DATED
                                                          : LINE_LOGFMT;
}

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

void conn_line_tell(const struct conn_kept *conn, int64_t open_ms)
{
    struct story story = {.slot = conn->slot, .wait_ms = conn->wait_ms, .open_ms = open_ms};

    format_address(&conn->client, story.client);
    format_address(&conn->listener, story.listener);
    if (conn->has_sender)
        format_sender(&conn->key, story.sender);
    tell(&story);
}

void conn_line_tell_offer(const struct listener *listener, unsigned slot,
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
