/*
 * clients.h - the connections of a worker that accepts them itself, past library and broker. Looks
 * on demand: copies its descriptors, at most 256 sockets of a process and CLIENTS_PROCESSES_MAX.
 */
#ifndef SSHIM_BROKER_DIAGNOSE_CLIENTS_H
#define SSHIM_BROKER_DIAGNOSE_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CLIENTS_PROCESSES_MAX 64

struct worker;

/* Whether this process of the worker has a connection that came to one of the worker's listeners.
 */
bool clients_are_there(const struct worker *worker, pid_t pid);

/* Whether one of its processes could read something from one of them: bytes, or an end. */
bool clients_have_spoken(const struct worker *worker);

/* How many its processes have, each process's own: forked children may hold one twice. */
uint64_t clients_count(const struct worker *worker);

#endif
