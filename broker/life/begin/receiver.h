/*
 * receiver.h - a process that reads what is sent to the workers' NOTIFY_SOCKETs.
 *
 * Whoever sends descriptors there (BARRIER=1 of sd_notify_barrier(3) is one) has them closed by the
 * kernel where the datagram is received, and that may sleep: see discard.h. While many such closes
 * sleep, nobody can send descriptors there, if the kernel can see to that. A datagram leaves its
 * socket only when the broker has noted what it says: so a barrier means what it should, and a
 * broker that is killed loses none.
 *
 * There is one for all workers, from the first --ready notify on. It ends with the broker; the next
 * broker starts its own.
 */
#ifndef SSHIM_BROKER_LIFE_BEGIN_RECEIVER_H
#define SSHIM_BROKER_LIFE_BEGIN_RECEIVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* on_ready: READY=1 came to the socket with this number, from that process as the kernel knows it.
 * on_end: the process has ended, and with it knows no socket any more. */
void receiver_init(void (*on_ready)(uint64_t number, const struct ucred *sender),
                   void (*on_end)(void));

/* Reads this socket (borrows) from now on, until shutdown(2) of it; it has SO_PASSCRED. False, with
 * errno: not now, try again. */
bool receiver_add(int socket_fd, uint64_t number);

/* Whether this is the process. */
bool receiver_is_pid(pid_t pid);

/* Ends it: the broker is about to execute a program. If that fails, on_end has been called. */
void receiver_stop(void);

#endif
