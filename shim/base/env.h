/*
 * env.h - the variables of this process. The only caller of getenv in the shim.
 *
 * Copied once: setproctitle(3) overwrites the memory that getenv(3) points into, and servers clear
 * their environment.
 */
#ifndef SSHIM_SHIM_BASE_ENV_H
#define SSHIM_SHIM_BASE_ENV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/wire.h"

#define ENV_BROKER_MAX 108 /* sun_path */
#define ENV_PORTS_MAX 32

/* Of a socket; a host of no bytes: any. */
struct env_end {
    uint8_t host[16];
    uint8_t host_len; /* of IPv4 4, of IPv6 16 bytes */
    uint16_t port;
};

struct env {
    char broker[ENV_BROKER_MAX];     /* $SSHIM_BROKER: the path of the broker's control socket */
    char rendezvous[ENV_BROKER_MAX]; /* $SSHIM_RENDEZVOUS: its abstract name; "": not said */
    struct wire_auth auth;  /* $SSHIM_TOKEN, $SSHIM_WORKER_ID; for a joiner slot WIRE_SLOT_NONE, and
                               $SSHIM_TREE */
    bool is_tree_root;      /* a joiner without $SSHIM_TREE: what it executes gets one */
    uint32_t owner_uid;     /* $SSHIM_OWNER: the broker's uid; UINT32_MAX: not said */
    _Atomic bool share_all; /* $SSHIM_SHARE_ALL=1: port 0 is shared as well; of a joiner: the broker
                               has not yet said that it is not */
    uint32_t proxied;       /* $SSHIM_PROXIED: WIRE_GRANT_* that hold for all that it starts */
    struct {
        struct env_end real, asked;
    } ports[ENV_PORTS_MAX]; /* $SSHIM_ASKED_PORTS: a socket at the one is told to be at the other */
    unsigned port_count;
    bool broken; /* $SSHIM_BROKER cannot be a path of a socket */
};

extern struct env env;
extern _Atomic int env_state; /* 0 not read yet, 1 inert, 2 managed */

/* Reads the environment; idempotent, thread-safe (all threads would write the same),
 * async-signal-safe. */
void env_read(void);

#define ENV_KEPT_TREE 0
#define ENV_KEPT_BROKER 1
#define ENV_KEPT_PROXIED 7
#define ENV_KEPT_MAX 10
#define ENV_KEPT_SIZE 8192 /* a longer LD_PRELOAD is not kept */

/* The variables that make this process a worker, as "NAME=value", for each i below ENV_KEPT_MAX;
 * NULL: not set. */
const char *env_get_kept(unsigned i);

/* WIRE_GRANT_*: the value of SSHIM_PROXIED among them from now on. Thread-safe. */
void env_keep_proxied(uint32_t flags);

/* Whether a broker was named. Hooks ask this first: where it is false they do nothing but call the
 * next function. */
static inline bool env_managed(void)
{
    int state = atomic_load_explicit(&env_state, memory_order_acquire);
    if (__builtin_expect(state == 0, 0)) {
        env_read();
        state = atomic_load_explicit(&env_state, memory_order_acquire);
    }
    return __builtin_expect(state == 2, 0);
}

#endif
