/* peek.c - see peek.h. */
#include "broker/share/intercept/peek.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/uio.h>
#include <unistd.h>

#include "broker/base/process/helpers.h"
#include "broker/base/process/signal.h"

#define PATIENCE_MS 1000
#define LATE_MAX 64

static pid_t late[LATE_MAX]; /* helpers that were killed and may not have ended yet; 0: none */

/* What of it shares the broker's memory is a copy: nothing is changed but the stack. */
static _Noreturn void help(int write_fd, pid_t thread, uint64_t address, size_t len)
{
    uint8_t bytes[PEEK_MAX];
    struct iovec to = {bytes, len};
    struct iovec from = {(void *)(uintptr_t)address, len};

    helpers_enter("sshim-peek");
    ssize_t got = process_vm_readv(thread, &to, 1, &from, 1, 0);
    /* no byte: it cannot be read */
    if (got <= 0 || write(write_fd, bytes, (size_t)got) < 0)
        (void)!write(write_fd, "", 1);
    _exit(0);
}

/* Where there is no room it is a zombie until the broker ends. */
static void bury_later(pid_t pid)
{
    signal_process(pid, SIGKILL);
    for (int i = 0; i < LATE_MAX; i++)
        if (!late[i]) {
            late[i] = pid;
            break;
        }
    helpers_bury(late, LATE_MAX);
}

void peek_cancel(struct peek *peek)
{
    if (peek->watch.fd < 0)
        return;
    loop_stop_timer(&peek->deadline);
    loop_remove(&peek->watch);
    close(peek->watch.fd);
    close(peek->write_fd);
    peek->watch.fd = -1;
    if (peek->helper > 0)
        bury_later(peek->helper);
}

static void on_readable(struct loop_fd *watch, uint32_t events)
{
    struct peek *peek = loop_container(watch, struct peek, watch);
    ssize_t got = read(watch->fd, peek->bytes, sizeof peek->bytes);

    (void)events;
    peek_cancel(peek);
    peek->on_done(peek, got > 1 ? got : -1);
}

static void on_deadline(struct loop_timer *timer)
{
    struct peek *peek = loop_container(timer, struct peek, deadline);

    peek_cancel(peek);
    peek->on_done(peek, -1);
}

void peek_init(struct peek *peek)
{
    peek->watch = (struct loop_fd){-1, on_readable};
    peek->deadline.on_time = on_deadline;
}

int peek_begin(struct peek *peek, pid_t thread, uint64_t address, size_t len, peek_done *on_done)
{
    int ends[2];

    peek->on_done = on_done;
    helpers_bury(late, LATE_MAX);
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -1;
    peek->watch.fd = ends[0];
    peek->write_fd = ends[1];
    /* No second set of descriptors, which would keep sockets open. */
    peek->helper = helpers_fork(CLONE_FILES);
    if (peek->helper == 0)
        help(ends[1], thread, address, len < PEEK_MAX ? len : PEEK_MAX);
    if (peek->helper > 0 && loop_add(&peek->watch, EPOLLIN) == 0) {
        loop_start_timer(&peek->deadline, PATIENCE_MS);
        return 0;
    }
    int saved = errno;
    peek_cancel(peek);
    errno = saved;
    return -1;
}
