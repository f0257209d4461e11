/*
 * notify.h - the notification descriptors of filtered workers: receives one call at a time from
 * each and answers it. The kernel delivers a notification once, so unanswered calls are in memory
 * that survives the broker: the next broker answers. notify_is_valid(), or an answer that the
 * kernel refuses, shows that the worker died or the call was interrupted.
 */
#ifndef SSHIM_BROKER_SHARE_INTERCEPT_NOTIFY_H
#define SSHIM_BROKER_SHARE_INTERCEPT_NOTIFY_H

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "broker/base/loop.h"
#include "broker/base/process/budget.h"
#include "broker/share/intercept/peek.h"
#include "broker/pool/worker.h"

struct notice; /* what survives us */

struct notify {
    struct loop_fd watch; /* .fd keeps */
    struct notice *notice;
    const struct seccomp_notif *request; /* the call, from its arrival to the answer */
    bool again;                 /* it was begun before, here or by a broker that was killed */
    uint64_t args[4];           /* of the call, once they are known */
    struct budget_waiter waits; /* its worker has used up its share of our time */
    struct peek peek;
    struct loop_timer retry;
    enum { NOTIFY_AT_ONCE, NOTIFY_CONTINUES, NOTIFY_BEGINS } when_settled;
    unsigned settled; /* how often this call has waited for closer.h */
    LIST_ENTRY(notify) all;
};

/* Sets the function that answers calls: each by one of the functions below, sooner or later. */
void notify_init(void (*on_call)(struct notify *notify));

/* A worker has a filter, and this is its notification descriptor (takes). Where memory is out the
 * worker's calls fail with ENOSYS, after a line. */
void notify_watch(const struct worker *worker, int fd);

/* The worker whose call it is, or NULL: it has ended. */
struct worker *notify_worker(const struct notify *notify);

/* Whether the calling thread still waits for the answer, so that its pid is its own. */
bool notify_is_valid(const struct notify *notify);

/* The process that the calling thread is of; 0: it is gone. */
pid_t notify_process(const struct notify *notify);

/* A copy of the caller's descriptor (gives), or -1 with the errno of pidfd_getfd(2). */
int notify_fetch_fd(const struct notify *notify, int number);

/* Puts a copy of fd (borrows) over the caller's descriptor of this number, which keeps its
 * FD_CLOEXEC. 0, or -1 with the errno of SECCOMP_IOCTL_NOTIF_ADDFD: EINTR where the caller is slow
 * to take it. */
int notify_install_fd(const struct notify *notify, int fd, int number);

/* Reads the caller's memory, as peek_begin() with notify->peek. */
int notify_peek(struct notify *notify, uint64_t address, size_t len, peek_done *on_done);

/* The answers: the kernel does what was asked; the call returns 0 or fails with this errno. */
void notify_continue(struct notify *notify);     /* when closer.h has closed our copies */
void notify_continue_now(struct notify *notify); /* there is none */
void notify_answer(struct notify *notify, int error);
/* None yet: the call is begun again soon; settle: when what was given up is closed, if it may wait
 * for that. */
void notify_retry(struct notify *notify);
bool notify_may_settle(const struct notify *notify);
void notify_settle(struct notify *notify);
void notify_on_settled(void); /* for closer_init() */

/* The memory that must outlive us, and each descriptor in it. -1: there is none. */
int notify_memory_fd(void);
void notify_each_fd(int memory_fd, void (*visit)(int fd, void *context), void *context);

/* Goes on with the memory of another broker (takes; -1: it had none yet), whose descriptors map()
 * gives, once its workers are known. A worker whose descriptor is lost is started again. */
void notify_resume(int memory_fd, int (*map)(int number));

#endif
