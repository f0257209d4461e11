/*
 * proxied.h - getpeername(2) and getsockname(2) of a connection whose client a balancer has told
 * (proto/proxied.h), of IPv4 clients under --unmap, and getsockname(2) where --port gave a server
 * another port than it asked for. Where none of them is in use nothing here is called.
 */
#ifndef SSHIM_SHIM_RECORD_PROXIED_H
#define SSHIM_SHIM_RECORD_PROXIED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* WIRE_GRANT_PROXIED, WIRE_GRANT_UNMAP: what is in use. */
extern _Atomic uint32_t proxied_use;

static inline bool proxied_is_used(void)
{
    return __builtin_expect(atomic_load_explicit(&proxied_use, memory_order_relaxed) != 0, 0);
}

/* From now on these are in use, here and in what this process executes: a worker may have been
 * started by a broker that did not have them. */
void proxied_note_use(uint32_t flags);

/* Gets what getpeername(2) looks into, if that is in use: later the process may have no descriptor
 * free, or no right to ask for it. What it forks has it as well. */
void proxied_prepare(void);

typedef int proxied_call(int fd, struct sockaddr *restrict addr, socklen_t *restrict len);

/* As getpeername(2), which next is, and getsockname(2), with their errno; fd is borrowed. */
int proxied_getpeername(proxied_call *next, int fd, struct sockaddr *addr, socklen_t *len);
int proxied_getsockname(proxied_call *next, int fd, struct sockaddr *addr, socklen_t *len);

#endif
