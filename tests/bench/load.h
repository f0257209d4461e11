/*
 * load.h - the load program: options, counts, connections. load.c schedules and reports, conn.c is
 * the life of one connection.
 */
#ifndef SSHIM_BENCH_LOAD_H
#define SSHIM_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "address.h"
#include "histogram.h"

#define LOAD_ADDRESSES_MAX 64
#define LOAD_ANSWER_MAX 1024 /* what is kept of an answer: an HTTP head fits */

/* How each attempt ended; exactly one of these. */
#define LOAD_OUTCOMES(X)                                                                           \
    X(RIGHT, "right")     /* the whole answer, nothing else, then the end of the stream */         \
    X(WRONG, "wrong")     /* an answer that is not the one to this request */                      \
    X(TWICE, "twice")     /* the right answer and more bytes behind it */                          \
    X(LOST, "lost")       /* the stream ended before the answer was complete */                    \
    X(RESET, "reset")     /* ECONNRESET or EPIPE after the connection was made */                  \
    X(REFUSED, "refused") /* ECONNREFUSED, or a full backlog of AF_UNIX */                         \
    X(TIMED_OUT, "timed_out")                                                                      \
    X(GIVEN_UP, "given_up") /* by this program's own will: silent, reset, end of the run */        \
    X(LOCAL, "local")       /* this program's own trouble: ports, descriptors */

enum load_outcome {
#define X(name, text) LOAD_##name,
    LOAD_OUTCOMES(X)
#undef X
        LOAD_OUTCOME_COUNT
};

enum load_behaviour { LOAD_NORMAL, LOAD_SILENT, LOAD_RESETS };

struct load_options {
    struct bench_address to[LOAD_ADDRESSES_MAX];
    int to_count;
    int clients;    /* closed loop: connections at a time */
    double rate;    /* open loop: arrivals per second; 0: closed loop */
    double seconds; /* how long to start new ones */
    uint64_t limit; /* how many to start; 0: no limit */
    int timeout_ms; /* for each request */
    int keep;       /* requests on one connection; 0: the server closes after one */
    bool hold;      /* keep the connections open to the end of the run */
    int ramp_us;    /* closed loop: between the first connections */
    int sources;    /* 127.0.0.2, 127.0.0.3, ... as source addresses */
    uint64_t seed;
    const char *mix; /* "l95h5" */
    const char *http_path;
    bool proxied; /* each connection begins with a PROXY header */
    enum load_behaviour behaviour;
};

struct conn {
    int fd; /* keeps; -1: not in use */
    bool connected;
    bool waits_for_output;
    char type;
    uint64_t scheduled_ns, deadline_ns;
    int requests_left;
    bool holding;
    size_t got, wanted; /* bytes of the answer; wanted 0: not known yet */
    bool counted;       /* its worker is known */
    TAILQ_ENTRY(conn) by_deadline;
    char answer[LOAD_ANSWER_MAX];
};

TAILQ_HEAD(conn_queue, conn);

struct load_counts {
    uint64_t started, connected, requests, bytes, unsent;
    uint64_t outcomes[LOAD_OUTCOME_COUNT];
    uint64_t right_in_time; /* before the end of the schedule */
    uint64_t longest_gap_ns, last_right_ns;
    uint32_t by_worker[1 << 16]; /* connections by the pid in their first answer */
    struct histogram all, by_type[128];
};

extern struct load_options options;
extern struct load_counts counts;

uint64_t load_now_ns(void);
uint64_t load_random(void);

/* Whether new requests may still be started. */
bool load_goes_on(void);

/* The connection has ended and may be used again. */
void load_on_free(struct conn *conn);

/* Takes a schedule time; starts a connection with its first request. */
void conn_start(struct conn *conn, uint64_t scheduled_ns);
void conn_on_ready(struct conn *conn, uint32_t events);

/* Ends what is overdue; with everything also what is silent. Returns the next deadline. */
uint64_t conn_expire(uint64_t now_ns, bool everything);

/* Closes what was answered and kept open to the end of the run. */
void conn_release_held(void);

/* epoll_fd is borrowed for ever. */
void conn_init(int epoll_fd);

#endif
