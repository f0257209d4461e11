/*
 * filter.h - the seccomp filter of workers that cannot be preloaded: which of their system calls
 * are notified, on each architecture that one machine runs. See seccomp_unotify(2). It is no
 * sandbox: it forbids only io_uring, whose operations no filter sees.
 */
#ifndef SSHIM_BROKER_SHARE_INTERCEPT_FILTER_H
#define SSHIM_BROKER_SHARE_INTERCEPT_FILTER_H

#include <linux/seccomp.h>

enum filter_call {
    FILTER_NONE, /* not one of ours */
    FILTER_BIND,
    FILTER_LISTEN,
    FILTER_SOCKETCALL, /* i386: bind or listen, with the arguments in memory */
    FILTER_UNLINK,
    FILTER_UNLINKAT,
    FILTER_IO_URING, /* refused by the filter itself */
};

/* What of our own structures the kernel's may take, see SECCOMP_GET_NOTIF_SIZES. */
#define FILTER_REQUEST_MAX 192
#define FILTER_RESPONSE_MAX 64

/*
 * Filters the calling thread and all that comes of it. Without CAP_SYS_ADMIN the kernel wants
 * no_new_privs, which is set then. Gives the notification fd (close-on-exec), or -1 with the errno
 * of seccomp(2): EBUSY where an outer filter has one already. Async-signal-safe.
 */
int filter_install(void);

/* Tries that in a child. 0, its errno, or this: it works, but no_new_privs had to be set. */
#define FILTER_NO_NEW_PRIVS 255
int filter_try(void);

/* What a notified call is. The numbers of x32 and of 32-bit programs are known. */
enum filter_call filter_call_of(const struct seccomp_data *data);

#endif
