/*
 * trial_main.c - sshim-trial SSHIM FOLDER OPTIONS... -- COMMAND: what `sshim check --run` executes.
 * Starts two copies of a server for a moment, one after the other, and says what the second one
 * trips over. FOLDER is empty and ours; it goes with us.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "observe/trial/evidence.h"
#include "observe/trial/tracer.h"
#include "observe/trial/verdict.h"

#define START_MS 30000 /* for a copy to be ready */
#define START_S "20"   /* after which a copy that shares nothing counts as ready */
#define WATCH_MS 1500  /* in which a copy does what it does a moment after its start */
#define STOP_MS 8000
#define TURN_MS 20
#define TAIL_SIZE 2000 /* of the output that is shown when a copy fails */
#define EXIT_FOUND 1
#define EXIT_CANNOT 2

enum outcome { BOTH_RUN, FIRST_FAILED, SECOND_FAILED };

static const char *sshim;
static char control[PATH_MAX], output[PATH_MAX], name[32];
static const char *folder;
static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = number;
}

/* --- the two copies --- */

static bool start_first(char **arguments, int count, int ready_fd, int output_fd)
{
    char ready[16];
    char **argv = calloc((size_t)count + 16, sizeof *argv);
    int used = 0;

    if (!argv)
        return false;
    snprintf(ready, sizeof ready, "%d", ready_fd);
    const char *const before[] = {sshim,
                                  "run",
                                  "--name",
                                  name,
                                  "--workers",
                                  "1",
                                  "--control",
                                  control,
                                  "--ready-fd",
                                  ready,
                                  "--stop-timeout",
                                  "5",
                                  "--start-timeout",
                                  START_S};
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++)
        argv[used++] = (char *)(uintptr_t)before[i];
    memcpy(argv + used, arguments, (size_t)count * sizeof *argv);
    bool started = tracer_start(argv, output_fd, ready_fd, evidence_note);
    free(argv);
    return started;
}

static bool can_read(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    return poll(&ready, 1, 0) == 1 && (ready.revents & POLLIN);
}

static bool wait_for_first(int ready_fd)
{
    int64_t end_ms = tracer_now_ms() + START_MS;

    while (tracer_is_running() && tracer_now_ms() < end_ms && !interrupted) {
        if (can_read(ready_fd))
            return true;
        tracer_serve(TURN_MS);
    }
    return false;
}

static void watch(int64_t time_ms)
{
    int64_t end_ms = tracer_now_ms() + time_ms;

    while (tracer_is_running() && tracer_now_ms() < end_ms && !interrupted)
        tracer_serve(TURN_MS);
}

static void be_scale(void)
{
    int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

    dup2(null_fd, STDOUT_FILENO);
    dup2(null_fd, STDERR_FILENO);
    execl(sshim, sshim, "scale", "2", "--control", control, (char *)NULL);
    _exit(127);
}

/* `sshim scale 2`, which ends when the second copy is ready or has failed. */
static bool start_second(void)
{
    int64_t end_ms = tracer_now_ms() + START_MS;
    pid_t pid = fork();
    int status = 0;

    if (pid == 0)
        be_scale();
    while (pid > 0 && tracer_is_running() && !interrupted) {
        tracer_serve(TURN_MS);
        if (tracer_has_ended(pid, &status))
            return WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (tracer_now_ms() >= end_ms)
            break;
    }
    if (pid > 0)
        kill(pid, SIGKILL);
    return false;
}

static enum outcome run_both(int ready_fd)
{
    if (!wait_for_first(ready_fd))
        return FIRST_FAILED;
    watch(WATCH_MS);
    evidence_look();
    bool both = start_second();
    watch(WATCH_MS);
    evidence_look();
    return both ? BOTH_RUN : SECOND_FAILED;
}

static void stop_both(void)
{
    int64_t end_ms = tracer_now_ms() + STOP_MS;

    tracer_signal(SIGTERM);
    while (tracer_is_running() && tracer_now_ms() < end_ms)
        tracer_serve(TURN_MS);
    tracer_end();
}

/* --- the report --- */

static void print_output(void)
{
    char text[TAIL_SIZE + 1];
    FILE *file = fopen(output, "re");

    if (!file)
        return;
    if (fseek(file, -TAIL_SIZE, SEEK_END) < 0)
        rewind(file);
    text[fread(text, 1, TAIL_SIZE, file)] = '\0';
    fclose(file);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        fprintf(stderr, "  %s\n", line);
}

static const char *const ends[] = {
    [FIRST_FAILED] = "the first copy did not start",
    [SECOND_FAILED] = "the second copy did not start beside the first one",
};

static int report(enum outcome outcome)
{
    unsigned count = outcome == FIRST_FAILED ? 0 : verdict_print(stdout);

    if (outcome != BOTH_RUN) {
        fprintf(stderr, "sshim: %s%s; the end of its output:\n", ends[outcome],
                count ? ", see above" : "");
        print_output();
        return EXIT_FOUND;
    }
    if (count == 0)
        puts("two copies ran side by side, and nothing was seen that they trip over");
    return count ? EXIT_FOUND : 0;
}

static void remove_folder(void)
{
    unlink(output);
    unlink(control);
    rmdir(folder);
}

static int try_it(char **arguments, int count, int output_fd)
{
    int ready[2];

    if (pipe2(ready, O_CLOEXEC) < 0 || !start_first(arguments, count, ready[1], output_fd)) {
        fprintf(stderr,
                "sshim: cannot trace what check --run starts: %s; permit ptrace(2) here (for "
                "Docker: --cap-add SYS_PTRACE)\n",
                strerror(errno));
        return EXIT_CANNOT;
    }
    enum outcome outcome = run_both(ready[0]);
    stop_both();
    if (interrupted) {
        fputs("sshim: interrupted; both copies are stopped\n", stderr);
        return EXIT_FOUND;
    }
    return report(outcome);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fputs("sshim-trial is started by 'sshim check --run'\n", stderr);
        return EXIT_CANNOT;
    }
    sshim = argv[1];
    folder = argv[2];
    snprintf(control, sizeof control, "%s/control", folder);
    snprintf(name, sizeof name, "trial-%d", (int)getpid());
    snprintf(output, sizeof output, "%s/output", folder);
    evidence_begin(folder);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    int output_fd = open(output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (output_fd < 0) {
        fprintf(stderr, "sshim: cannot make %s: %s\n", output, strerror(errno));
        return EXIT_CANNOT;
    }
    int exit_code = try_it(argv + 3, argc - 3, output_fd);
    remove_folder();
    return exit_code;
}
