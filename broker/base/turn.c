/* turn.c - see turn.h. */
#include "broker/base/turn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/journal.h"

#define LONG_US 5000
#define LOOK_US 10000
#define LOOK_MORE_US 50000
#define LOOK_WALL_US 40000 /* less what we waited for a processor, and with that */
#define LOOK_BUSY_US 200000

static timer_t timer;
static bool has_timer;

/* The handler runs in the loop's thread: it only has to see what was stored before it. */
static volatile uint64_t number; /* odd: in a turn */
static volatile int64_t began_us;
static volatile uint64_t long_ticks;
static volatile sig_atomic_t ticks; /* the timer runs */
static int64_t longest_us;

int64_t turn_read_us(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void set_timer(int period_ms)
{
    struct timespec period = {.tv_nsec = period_ms * 1000000L};

    timer_settime(timer, 0, &(struct itimerspec){period, period}, NULL);
}

static void on_tick(int signal_number)
{
    static uint64_t seen;
    int saved = errno;

    (void)signal_number;
    if (number & 1) {
        if (turn_read_us(CLOCK_MONOTONIC) - began_us >= LONG_US)
            long_ticks++;
    } else if (number == seen) { /* nothing happened since the last tick */
        ticks = 0;
        set_timer(0);
    }
    seen = number;
    errno = saved;
}

int turn_init(void)
{
    struct sigaction action = {.sa_handler = on_tick}; /* not SA_RESTART: that is the point */
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    sigset_t alarm_only;

    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    if (sigaction(SIGALRM, &action, NULL) < 0 || sigprocmask(SIG_UNBLOCK, &alarm_only, NULL) < 0 ||
        timer_create(CLOCK_MONOTONIC, &event, &timer) < 0)
        return -1;
    has_timer = true;
    return 0;
}

void turn_begin(int64_t now_us)
{
    began_us = now_us;
    atomic_store_explicit(journal_live.turn, ++number, memory_order_relaxed);
    /* After the count: a tick in between sees that something happens. */
    atomic_signal_fence(memory_order_seq_cst);
    if (!ticks && has_timer) {
        ticks = 1;
        set_timer(TURN_TICK_MS);
    }
}

void turn_end(int64_t now_us)
{
    if (!(number & 1))
        return;
    if (now_us - began_us > longest_us)
        longest_us = now_us - began_us;
    atomic_store_explicit(journal_live.turn, ++number, memory_order_relaxed);
}

bool turn_close(int fd)
{
    uint64_t before = long_ticks;

    close(fd);
    return long_ticks != before;
}

static uint64_t more; /* the turn that has LOOK_MORE_US */

void turn_allow_more(void)
{
    more = number;
}

/* How long we have waited for a processor, in all (proc(5)); 0: the kernel does not say. */
static int64_t read_waited_us(void)
{
    char text[64];
    unsigned long long ran_ns;
    unsigned long long waited_ns = 0;
    int fd = open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    text[got > 0 ? got : 0] = '\0';
    if (fd >= 0)
        close(fd);
    return sscanf(text, "%llu %llu", &ran_ns, &waited_ns) == 2 ? (int64_t)(waited_ns / 1000) : 0;
}

/* Processor time, or a busy machine would leave us none; but a look may also wait for a lock of the
 * process that it looks at. */
bool turn_has_time(void)
{
    static uint64_t seen;
    static int64_t used_us, from_us, waited_us;

    if (!(number & 1))
        return true;
    int64_t cpu_us = turn_read_us(CLOCK_THREAD_CPUTIME_ID);
    int64_t wall_us = turn_read_us(CLOCK_MONOTONIC);
    if (seen != number) {
        seen = number;
        used_us = cpu_us;
        from_us = wall_us;
        waited_us = read_waited_us();
    }
    return cpu_us - used_us < (more == number ? LOOK_MORE_US : LOOK_US) &&
           (wall_us - from_us < LOOK_WALL_US ||
            (wall_us - from_us < LOOK_BUSY_US &&
             wall_us - from_us - (read_waited_us() - waited_us) < LOOK_WALL_US));
}

uint64_t turn_number(void)
{
    return number;
}

unsigned turn_longest_ms(void)
{
    return (unsigned)(longest_us / 1000);
}
