/* closer.c - see closer.h. The numbers that wait are in the journal: after a crash of the broker
 * they must not be taken for connections that were forgotten. */
#include "broker/pool/closer.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/base/journal.h"
#include "broker/base/loop.h"
#include "broker/base/process/helpers.h"
#include "broker/base/process/signal.h"

#define HELPERS_MAX 16
#define FILES_MAX 8  /* being closed at a time: no more are received then; less than HELPERS_MAX */
#define REVIEW_MS 20 /* a descriptor that waits longer needs one more helper */
#define HURRY_MS 5   /* a signal ends what a helper sleeps in, if it can be ended */

static int queue[2] = {-1, -1}; /* places in the journal's table */
static pid_t helpers[HELPERS_MAX];
static struct loop_timer review;
static _Atomic int no_files;
static _Atomic int *files = &no_files; /* that are no sockets and are not closed yet; shared with
                                        * the helpers from closer_init() on */

static int get_option(int fd, int option)
{
    int value = -1;
    socklen_t len = sizeof value;

    return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 ? value : -1;
}

/* A file may be of a file system whose server does not answer: closing it asks that, and no signal
 * ends the wait. */
static bool is_no_socket(int fd)
{
    return get_option(fd, SO_TYPE) < 0;
}

/* --- in a helper --- */

static _Noreturn void help(pid_t broker_pid)
{
    uint32_t place;

    helpers_enter("sshim-closer");
    helpers_take_ticks();
    while (getppid() == broker_pid) {
        if (read(queue[0], &place, sizeof place) != sizeof place)
            continue;
        int fd = journal_take_closing(place);
        bool is_file = fd >= 0 && is_no_socket(fd);
        helpers_set_ticks(HURRY_MS);
        if (fd >= 0)
            close(fd);
        helpers_set_ticks(0);
        *files -= is_file;
    }
    _exit(0);
}

/* --- in the broker --- */

/* One more, if that is permitted. */
static void start_helper(void)
{
    pid_t broker_pid = getpid();

    helpers_bury(helpers, HELPERS_MAX);
    for (int i = 0; i < HELPERS_MAX; i++) {
        if (helpers[i])
            continue;
        pid_t pid = helpers_fork(CLONE_FILES);
        if (pid == 0)
            help(broker_pid);
        helpers[i] = pid > 0 ? pid : 0;
        return;
    }
}

static bool has_helper(void)
{
    for (int i = 0; i < HELPERS_MAX; i++)
        if (helpers[i])
            return true;
    return false;
}

static void on_review(struct loop_timer *timer)
{
    int waiting = 0;

    if (ioctl(queue[0], FIONREAD, &waiting) < 0 || waiting == 0)
        return;
    start_helper();
    loop_start_timer(timer, REVIEW_MS);
}

int closer_init(void)
{
    files = mmap(NULL, sizeof *files, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (files == MAP_FAILED || pipe2(queue, O_CLOEXEC) < 0)
        return -1;
    review.on_time = on_review;
    return 0;
}

void closer_pass(int fd)
{
    int saved = errno;
    int place = queue[1] >= 0 ? journal_note_closing(fd) : -1;
    uint32_t word = (uint32_t)place;

    /* All helpers are held up: close here. It is a socket, or there are too many files already, see
     * closer_has_room(): a call that a signal ends does not last long, see turn.h. */
    *files += is_no_socket(fd);
    if (place < 0 || write(queue[1], &word, sizeof word) != sizeof word) {
        if (place >= 0)
            journal_take_closing(word);
        *files -= is_no_socket(fd);
        close(fd);
        errno = saved;
        return;
    }
    if (!has_helper())
        start_helper();
    if (!loop_timer_runs(&review))
        loop_start_timer(&review, REVIEW_MS);
    errno = saved;
}

static bool lingers(int fd)
{
    struct linger linger;
    socklen_t len = sizeof linger;

    return getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) < 0 ||
           (linger.l_onoff && linger.l_linger > 0);
}

static bool is_connected(int fd)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;

    return getpeername(fd, (struct sockaddr *)&peer, &len) == 0 || errno != ENOTCONN;
}

/* Asks nothing that a file system would have to answer. */
static bool ends_at_once(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || (flags & O_PATH))
        return true;
    if (get_option(fd, SO_TYPE) != SOCK_STREAM)
        return false;
    switch (get_option(fd, SO_DOMAIN)) {
    case AF_INET:
    case AF_INET6: return get_option(fd, SO_PROTOCOL) == IPPROTO_TCP && !lingers(fd);
    /* nothing can be in the queue of such a one */
    case AF_UNIX: return get_option(fd, SO_ACCEPTCONN) == 0 && !is_connected(fd);
    default: return false;
    }
}

void closer_close(int fd)
{
    int saved = errno;

    if (fd < 0)
        return;
    if (ends_at_once(fd))
        close(fd);
    else
        closer_pass(fd);
    errno = saved;
}

bool closer_has_room(void)
{
    return *files < FILES_MAX;
}

bool closer_is_pid(pid_t pid)
{
    for (int i = 0; i < HELPERS_MAX; i++)
        if (helpers[i] == pid)
            return true;
    return false;
}

void closer_stop(void)
{
    for (int i = 0; i < HELPERS_MAX; i++)
        if (helpers[i])
            signal_process(helpers[i], SIGKILL);
    helpers_await(helpers, HELPERS_MAX);
}

void closer_finish(void)
{
    closer_stop();
    if (has_helper())
        close_range(STDERR_FILENO + 1, ~0u, 0);
}
