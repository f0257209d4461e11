/*
 * closer.h - closes descriptors whose close may sleep, in a helper process.
 *
 * The last close(2) of a TCP connection with SO_LINGER and unsent data sleeps; that of a file on a
 * user's own file system (FUSE) waits for that user's program; that of a unix socket closes every
 * descriptor in its queue. That of any file which can be polled waits for the mutex of each epoll
 * set that it is in, and no signal ends that: a thread that epoll_wait(2) has write its events to
 * memory of such a file system holds the mutex. Such descriptors come from workers and strangers,
 * and so does all that a worker was given a copy of. Helpers that share the broker's fd table
 * (clone(2), CLONE_FILES) close them. A helper is made when one is needed, and a further one when
 * all are held up. The helpers end with the broker.
 */
#ifndef SSHIM_BROKER_POOL_CLOSER_H
#define SSHIM_BROKER_POOL_CLOSER_H

#include <stdbool.h>
#include <sys/types.h>

/* on_settled: see closer_is_settled(). 0, or -1 with the errno of pipe2(2), eventfd(2) or
 * epoll_ctl(2). */
int closer_init(void (*on_settled)(void));

/* Closes fd (takes, -1 permitted): here if its kind closes fast and there is no boundary, else in a
 * helper. errno is kept. */
void closer_close(int fd);

/* Closes what workers have, or had, a copy of (takes): in a helper if there is a boundary. */
void closer_give(int fd);

/* Whether what was passed is closed, but for what does not close: so the address of a socket is
 * free, and a channel that nobody else has is hung up. If not, on_settled() is called in a later
 * turn of the loop, as soon as it is; at the latest after 10 ms, or 300 ms if a helper waits for a
 * processor. The broker does not wait meanwhile: who asked does. */
bool closer_is_settled(void);

/* Closes fd (takes) in a helper, whatever it is. */
void closer_pass(int fd);

/* Whether one more helper may be held up by a file. If not, no descriptor is to be received from
 * who may send any kind. */
bool closer_has_room(void);

/* Whether that process is a helper. */
bool closer_is_pid(pid_t pid);

/* Ends the helpers: the broker is about to execute a program. What they have not closed is closed
 * by that. */
void closer_stop(void);

/* The broker ends. A helper that does not end keeps the table that we share, and what is not closed
 * yet could keep us from ending: then all is closed but standard input, output and error. */
void closer_finish(void);

#endif
