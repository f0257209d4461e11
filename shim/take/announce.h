/*
 * announce.h - if poll, select or epoll_wait reported a blocking listener, the connection is still
 * there when the program calls accept.
 *
 * Natively a listener that was reported readable never makes accept wait, and programs rely on it:
 * they wait for many descriptors and leave the listener blocking. Here the broker may take the
 * offer back in between, and another copy may be faster at a canonical socket. So a wait announces
 * the connection in the scoreboard (BOARD_ANNOUNCED), which the broker respects for a while, and
 * checks that it is there; if it is gone, the wait goes on. The accept that follows does not block:
 * if the connection is gone by then, it fails with ECONNABORTED.
 *
 * The announcement is in the scoreboard, so that it holds after fork and exec, and in every thread.
 * Listeners that do not block need no announcement.
 *
 * All functions keep errno; thread-safe, lock-free.
 */
#ifndef SSHIM_SHIM_TAKE_ANNOUNCE_H
#define SSHIM_SHIM_TAKE_ANNOUNCE_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/select.h>

#include "shim/record/vlisten.h"

/* Whether one of these listeners (bit = index) blocks. */
bool announce_concerns(uint64_t listeners);

/*
 * A wait reported fd readable. True: it is, and the connection is announced. False: accept would
 * find none, so the wait must not report it. If the broker has died, fd is the canonical socket
 * from now on.
 */
bool announce_confirm(struct vlisten *listener, int fd);

/* A wait looked at the listener, or at all of these (bit = index), and found nothing. */
void announce_withdraw(struct vlisten *listener);
void announce_withdraw_all(uint64_t listeners);

/* What poll(2) and select(2) gave, ready > 0: takes out what is not there, returns what is left.
 * count is at most FD_SETSIZE for select; asked is what it was asked, or NULL: nothing may be taken
 * out. */
int announce_check_poll(struct pollfd *fds, nfds_t count, int ready);
int announce_check_select(int count, const fd_set *asked, fd_set *readable, int ready);

/* For accept: whether it must not block; ends the announcement. True: announce_end() follows when
 * accept has received, and until then the broker leaves the offer there. */
bool announce_consume(struct vlisten *listener);
void announce_end(struct vlisten *listener);

/* A wait may have reported it, and the connection may be gone: accept must not block. */
void announce_insist(struct vlisten *listener);

/* Waits until the broker has taken back what it is about to, 20 ms at most. True: it had begun. */
bool announce_await_recall(struct vlisten *listener);

/*
 * Before this process knew of any listener (after exec) this thread waited: bit N stands for the
 * numbers N modulo 64 that were reported readable. announce_by_unseen: fd turned out to be a
 * listener, and is about to be accepted from.
 */
void announce_note_unseen(uint64_t ready_fds);
void announce_by_unseen(struct vlisten *listener, int fd);

#endif
