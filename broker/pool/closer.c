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
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/base/journal.h"
#include "broker/base/loop.h"
#include "broker/base/loop/fds.h"
#include "broker/base/process/helpers.h"
#include "broker/base/process/procfs.h"
#include "broker/base/process/signal.h"
#include "broker/base/turn.h"

#define HELPERS_MAX 16
#define FILES_MAX 8  /* being closed at a time: no more are received then; less than HELPERS_MAX */
#define REVIEW_MS 20 /* a descriptor that waits longer needs one more helper */
#define HURRY_MS 5   /* a signal ends what a helper sleeps in, if it can be ended */
#define STUCK_MS 100 /* a close that lasts longer is not ended by that */
#define PARKED_MAX 16384
#define SETTLE_MS 10 /* and longer while a helper waits for a processor, up to */
#define SETTLE_MAX_MS 300
#define SETTLE_LOOK_MS 5
#define FINISH_LOOK_US 50

static int queue[2] = {-1, -1}; /* places in the journal's table */
static pid_t helpers[HELPERS_MAX];
static struct loop_timer review;
static int parked[PARKED_MAX]; /* that find no place in the queue, since helpers are held up */
static int parked_count;

/* With the helpers from closer_init() on. */
static struct shared {
    _Atomic int files;                     /* that are no sockets and are not closed yet */
    _Atomic uint64_t closed;               /* of all that were queued */
    _Atomic uint64_t awaited;              /* the broker is told of so many; 0: of none */
    _Atomic int64_t since_ms[HELPERS_MAX]; /* what a helper closes; 0: nothing */
} nothing, *shared = &nothing;
static uint64_t queued;

/* From a question of closer_is_settled() to its answer. */
static struct loop_fd told = {.fd = -1}; /* eventfd(2), by a helper; .fd keeps */
static struct loop_timer settling;
static int64_t asked_ms;
static uint64_t given_up; /* of all that were queued: these are waited for no more */
static void (*on_settled)(void);

static bool has_boundary; /* a broker that is not root has no workers of other users */

/* A file may be of a file system whose server does not answer: closing it asks that, and no signal
 * ends the wait. */
static bool is_no_socket(int fd)
{
    return fds_get_option(fd, SO_TYPE) < 0;
}

/* --- in a helper --- */

static void note_closed(bool is_file)
{
    uint64_t awaited;

    shared->files -= is_file;
    uint64_t closed = ++shared->closed;
    if ((awaited = shared->awaited) > 0 && closed >= awaited)
        eventfd_write(told.fd, 1);
}

static _Noreturn void help(pid_t broker_pid, int number)
{
    uint32_t place;

    helpers_enter("sshim-closer");
    helpers_take_ticks();
    while (getppid() == broker_pid) {
        if (read(queue[0], &place, sizeof place) != sizeof place)
            continue;
        int fd = journal_take_closing(place);
        bool is_file = fd >= 0 && is_no_socket(fd);
        shared->since_ms[number] = turn_read_ms();
        helpers_set_ticks(HURRY_MS);
        if (fd >= 0)
            close(fd);
        helpers_set_ticks(0);
        shared->since_ms[number] = 0;
        note_closed(is_file);
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
        shared->since_ms[i] = 0;
        pid_t pid = helpers_fork(CLONE_FILES);
        if (pid == 0)
            help(broker_pid, i);
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

/* How many helpers no signal has helped. */
static int count_stuck(void)
{
    int64_t now_ms = turn_read_ms();
    int count = 0;

    for (int i = 0; i < HELPERS_MAX; i++) {
        int64_t since_ms = shared->since_ms[i];
        count += helpers[i] && since_ms > 0 && now_ms - since_ms > STUCK_MS;
    }
    return count;
}

static bool enqueue(int fd)
{
    int place = queue[1] >= 0 ? journal_note_closing(fd) : -1;
    uint32_t word = (uint32_t)place;

    if (place < 0)
        return false;
    if (write(queue[1], &word, sizeof word) == sizeof word) {
        queued++;
        return true;
    }
    journal_take_closing(word);
    return false;
}

static void on_review(struct loop_timer *timer)
{
    int waiting = 0;

    while (parked_count > 0 && enqueue(parked[parked_count - 1]))
        parked_count--;
    if (ioctl(queue[0], FIONREAD, &waiting) < 0 || waiting == 0)
        return;
    start_helper();
    loop_start_timer(timer, REVIEW_MS);
}

void closer_pass(int fd)
{
    int saved = errno;
    bool is_file = is_no_socket(fd);

    shared->files += is_file;
    if (!enqueue(fd)) {
        /* All helpers are held up. Without a boundary close here: a call that a signal ends does
         * not last long, see turn.h. */
        if (!has_boundary || parked_count == PARKED_MAX) {
            shared->files -= is_file;
            close(fd);
            errno = saved;
            return;
        }
        parked[parked_count++] = fd;
    }
    if (!has_helper())
        start_helper();
    loop_ensure_timer(&review, REVIEW_MS);
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
    if (has_boundary) /* it may be in an epoll set of a worker, or of a stranger */
        return false;
    if (fds_get_option(fd, SO_TYPE) != SOCK_STREAM)
        return false;
    switch (fds_get_option(fd, SO_DOMAIN)) {
    case AF_INET:
    case AF_INET6: return fds_get_option(fd, SO_PROTOCOL) == IPPROTO_TCP && !lingers(fd);
    /* nothing can be in the queue of such a one */
    case AF_UNIX: return fds_get_option(fd, SO_ACCEPTCONN) == 0 && !is_connected(fd);
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

void closer_give(int fd)
{
    if (has_boundary)
        closer_pass(fd);
    else
        close(fd);
}

/* --- who waits until it is closed --- */

/* Only a queue of which nobody knows that it is held up is waited for. */
static bool is_waited_for(void)
{
    return has_boundary && shared->closed < queued && given_up < queued && parked_count == 0 &&
           count_stuck() == 0;
}

static bool a_helper_runs(void)
{
    for (int i = 0; i < HELPERS_MAX; i++)
        if (helpers[i] && procfs_is_running(helpers[i]))
            return true;
    return false;
}

static bool has_waited_long(void)
{
    int64_t passed_ms = turn_read_ms() - asked_ms;

    return passed_ms >= SETTLE_MAX_MS || (passed_ms >= SETTLE_MS && !a_helper_runs());
}

static void end_wait(void)
{
    loop_stop_timer(&settling);
    shared->awaited = 0;
    on_settled();
}

static void on_told(struct loop_fd *watch, uint32_t events)
{
    eventfd_t count;

    (void)events;
    eventfd_read(watch->fd, &count);
    if (loop_timer_runs(&settling) && !is_waited_for())
        end_wait();
}

static void on_settling(struct loop_timer *timer)
{
    if (is_waited_for() && !has_waited_long()) {
        shared->awaited = queued;
        loop_start_timer(timer, SETTLE_LOOK_MS);
        return;
    }
    given_up = queued;
    end_wait();
}

bool closer_is_settled(void)
{
    if (!is_waited_for())
        return true;
    if (!loop_timer_runs(&settling)) {
        asked_ms = turn_read_ms();
        loop_start_timer(&settling, SETTLE_LOOK_MS);
    }
    shared->awaited = queued;
    return !is_waited_for(); /* the last one was closed before that */
}

int closer_init(void (*call_when_settled)(void))
{
    struct shared *memory =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED || pipe2(queue, O_CLOEXEC) < 0)
        return -1;
    told = (struct loop_fd){eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), on_told};
    if (told.fd < 0 || loop_add(&told, EPOLLIN) < 0)
        return -1;
    shared = memory;
    has_boundary = geteuid() == 0;
    on_settled = call_when_settled;
    review.on_time = on_review;
    settling.on_time = on_settling;
    return 0;
}

bool closer_has_room(void)
{
    return shared->files < FILES_MAX && count_stuck() < FILES_MAX;
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
    asked_ms = turn_read_ms();
    while (is_waited_for() && !has_waited_long())
        usleep(FINISH_LOOK_US);
    bool is_rest = shared->closed < queued || parked_count > 0;
    closer_stop();
    if (has_helper() || (is_rest && has_boundary))
        helpers_empty_table();
}
