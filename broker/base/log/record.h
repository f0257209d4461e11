/* record.h - what the log says, before it is text: the events by name, and the facts of one. */
#ifndef SSHIM_BROKER_BASE_LOG_RECORD_H
#define SSHIM_BROKER_BASE_LOG_RECORD_H

#include <stdint.h>

/*
 * Names are a contract: programs look for them. A name is added, never changed. sshim(1) lists
 * each with its facts; tests/log.bats compares.
 */
#define LOG_EVENTS(X)                                                                              \
    X(MESSAGE, "message") /* what has no name of its own */                                        \
    X(START, "start")                                                                              \
    X(RESUME, "resume")                                                                            \
    X(READY, "ready")                                                                              \
    X(STOP, "stop")                                                                                \
    X(COMMAND, "command")                                                                          \
    X(COMMAND_REFUSED, "command_refused")                                                          \
    X(WORKER_START, "worker_start")                                                                \
    X(WORKER_READY, "worker_ready")                                                                \
    X(WORKER_DRAIN, "worker_drain")                                                                \
    X(WORKER_STUCK, "worker_stuck")                                                                \
    X(WORKER_EXIT, "worker_exit")                                                                  \
    X(CRASH_LOOP, "crash_loop")                                                                    \
    X(RESTART_BEGIN, "restart_begin")                                                              \
    X(RESTART_DONE, "restart_done")                                                                \
    X(RESTART_FAILED, "restart_failed")                                                            \
    X(LOG_REOPEN, "log_reopen")                                                                    \
    X(CONNECTION, "connection") /* of --conn-log alone */

enum log_event {
#define X(name, text) LOG_##name,
    LOG_EVENTS(X)
#undef X
};

/* The lowest is always shown. */
enum log_level { LOG_LEVEL_QUIET, LOG_LEVEL_NORMAL, LOG_LEVEL_VERBOSE };

/* A number, unless there is text. */
struct log_fact {
    const char *name; /* NULL: the end of an array of them */
    const char *text;
    int64_t number;
};

/* {LOG_NUMBER("worker", 2), LOG_TEXT("cause", "crash")} as an argument. */
#define LOG_NUMBER(fact, value)                                                                    \
    {                                                                                              \
        .name = (fact), .number = (int64_t)(value)                                                 \
    }
#define LOG_TEXT(fact, value)                                                                      \
    {                                                                                              \
        .name = (fact), .text = (value)                                                            \
    }
#define LOG_FACTS(...) ((const struct log_fact[]){__VA_ARGS__, {.name = 0}})

struct log_record {
    int64_t time_ms; /* since 1970 */
    enum log_level level;
    enum log_event event;
    const struct log_fact *facts; /* NULL: none */
    const char *message;          /* for people; one line, without its end; NULL: none */
};

#endif
