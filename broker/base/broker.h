/*
 * broker.h - data that every part of the broker may read: the configuration and the instance's
 * identity in `broker`, and values that change at run time in `runtime`. One broker a process.
 */
#ifndef SSHIM_BROKER_BASE_BROKER_H
#define SSHIM_BROKER_BASE_BROKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/base/config.h"

/* Filled in before anything else runs, constant afterwards. */
struct broker {
    struct config config;
    char name[CONFIG_NAME_MAX + 1];
    char control_path[108];
    char library_path[4096]; /* libsshim.so */
    uid_t uid;
    int64_t started_ms;
};

extern struct broker broker;

/* Begins as the configuration says. Each field names its only writer. */
struct runtime {
    /* PRELOAD or SECCOMP; operate/run/choose.c, life/supervise/bypass.c where a launcher starts
     * what bypasses the library, and survive/state_load.c: a pool that is taken over keeps its own
     */
    enum config_intercept intercept;
    /* from PRELOAD to SECCOMP while no worker was ever ready; choose.c, bypass.c */
    bool may_switch;
    const char *needs_library;   /* the option alone that forbids that; choose.c; NULL: none */
    enum config_handoff handoff; /* survive/state_load.c: a pool that is taken over keeps its own */
    int ready_fd;         /* keeps, -1: none; life/supervise/fleet.c closes it when all are ready */
    int metrics_fd;       /* keeps, -1: none; operate/tell/metrics.c, survive/state_load.c */
    int connections_fd;   /* of the broker before, -1: none; survive/state_load.c */
    pid_t keeper_pid;     /* survive/keeper.c; 0: none */
    pid_t old_keeper_pid; /* the same: that of the program before, during an upgrade */
    pid_t lines_pid;      /* life/launch/output.c; 0: it does not run */
    pid_t hook_pid;       /* operate/tell/hook.c; 0: the command does not run */
    unsigned workers;     /* how many are wanted; run.c at first, then life/slot.c */
};

extern struct runtime runtime;

/* From now on workers are started with a filter: by --intercept seccomp, or since a program
 * bypasses the library. Logs what their servers are told otherwise. */
void broker_take_filter(void);

#endif
