/*
 * holders.h - finds the processes that hold a wanted address: for the message of a broker that
 * cannot start. Reads /proc of every process, only after a failure.
 */
#ifndef SSHIM_BROKER_DIAGNOSE_HOLDERS_H
#define SSHIM_BROKER_DIAGNOSE_HOLDERS_H

#include <stdbool.h>
#include <sys/types.h>

#include "broker/base/address.h"

struct holders {
    unsigned count;       /* processes, those included that found no room in the texts */
    char named[320];      /* "pid 12 (nginx), pid 13 (nginx)" */
    char pids[128];       /* "12 13", to be given to kill(1) */
    char listens_on[200]; /* holders_of_instance: their addresses, each once */
    char broker[112];     /* holders_of_address: the control path of the broker among them; "" */
};

/*
 * Processes that listen though the broker of this control socket is dead: its workers, which accept
 * by themselves, and servers that had joined it. They are known by SSHIM_BROKER in the environment
 * that they were started with; those of a user other than the broker's and the workers' are not
 * believed. False: there are none, or /proc cannot be read.
 */
bool holders_of_instance(const char *control_path, uid_t workers_uid, struct holders *holders);

/* Processes that listen on this address, or on one that excludes it, in the broker's network
 * namespace. A broker is believed if it is root's or of our user. False: none can be seen. */
bool holders_of_address(const struct address *address, struct holders *holders);

#endif
