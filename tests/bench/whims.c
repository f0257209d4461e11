/* whims.c - see whims.h. Each handler interrupts whatever the server does. */
#include "whims.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define HANG_MAX_S 20
#define FULL_US 700000
#define FILL_MAX (1 << 15)
#define ARGUMENTS_MAX 15
#define LOOK_US 12000 /* longer than the library goes without a look at the table (fdroom.h) */

static char **own_argv;
static char *keeping_argv[ARGUMENTS_MAX + 1];
static int listener = -1;
static int filling[FILL_MAX];
static int filled;

static void begin_timer(void)
{
    struct itimerval once = {.it_value = {FULL_US / 1000000, FULL_US % 1000000}};

    setitimer(ITIMER_REAL, &once, NULL);
}

static void on_fork_whim(int number)
{
    (void)number;
    if (fork() > 0)
        _exit(0);
    if (filled > 0)
        begin_timer(); /* fork(2) has not kept it */
}

static void on_exec_whim(int number)
{
    struct itimerval never = {0};
    sigset_t none;

    setitimer(ITIMER_REAL, &never, NULL); /* exec would keep it, and not its handler */
    if (number == WHIM_EXEC_KEEP)
        fcntl(listener, F_SETFD, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL); /* exec keeps it */
    execv("/proc/self/exe", number == WHIM_EXEC_KEEP ? keeping_argv : own_argv);
    _exit(1);
}

static void on_hang_whim(int number)
{
    struct timespec longest = {.tv_sec = HANG_MAX_S};
    sigset_t go_on;

    (void)number;
    sigemptyset(&go_on);
    sigaddset(&go_on, WHIM_GO_ON);
    while (sigtimedwait(&go_on, NULL, &longest) < 0 && errno == EINTR)
        ;
}

static void on_go_on(int number)
{
    (void)number;
}

static void on_fill_whim(int number)
{
    int saved = errno;
    struct timespec look = {.tv_nsec = LOOK_US * 1000};

    (void)number;
    while (filled < FILL_MAX && (filling[filled] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        filled++;
    nanosleep(&look, NULL);
    begin_timer();
    errno = saved;
}

static void on_alarm(int number)
{
    int saved = errno;

    (void)number;
    while (filled > 0)
        close(filling[--filled]);
    errno = saved;
}

static void arm(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};

    sigfillset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

/* As before, with another -k. */
static void prepare_keeping(char **argv)
{
    static char number[16];
    char **rest = argv[1] && strcmp(argv[1], "-k") == 0 ? argv + 3 : argv + 1;
    int count = 0;

    snprintf(number, sizeof number, "%d", listener);
    keeping_argv[count++] = argv[0];
    keeping_argv[count++] = "-k";
    keeping_argv[count++] = number;
    while (*rest && count < ARGUMENTS_MAX)
        keeping_argv[count++] = *rest++;
    keeping_argv[count] = NULL;
}

void whims_begin(char **argv, int listener_fd)
{
    own_argv = argv[1] && strcmp(argv[1], "-k") == 0 ? argv + 2 : argv;
    own_argv[0] = argv[0];
    listener = listener_fd;
    prepare_keeping(argv);
    arm(WHIM_FORK, on_fork_whim);
    arm(WHIM_EXEC, on_exec_whim);
    arm(WHIM_EXEC_KEEP, on_exec_whim);
    arm(WHIM_HANG, on_hang_whim);
    arm(WHIM_GO_ON, on_go_on);
    arm(WHIM_FILL, on_fill_whim);
    arm(SIGALRM, on_alarm);
}
