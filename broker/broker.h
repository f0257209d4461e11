/*
 * broker.h - what every part of the broker may look at: the configuration and the instance's
 * identity. One broker a process. Filled in by main before anything else runs, constant afterwards.
 */
#ifndef SSHIM_BROKER_BROKER_H
#define SSHIM_BROKER_BROKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/config.h"

struct broker {
    struct config config;
    char name[64];
    char control_path[108];
    char library_path[4096]; /* libsshim.so */
    uid_t uid;
    int64_t started_ms;
};

extern struct broker broker;

#endif
