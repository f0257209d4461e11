/*
 * trial.c - see trial.h. The trial has a control socket and a name of its own, and nothing that an
 * instance of the same options may have open now: no log, no metrics, no pid files.
 */
#include "broker/operate/run/trial.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/cli/runtime_paths.h"
#include "broker/cli/settings/settings.h"

#define PROGRAM "sshim-trial"
#define FOLDER "sshim-trial.XXXXXX"
#define BASE "/tmp"
#define BASE_MAX 60 /* the path of a socket has 107 bytes, see unix(7) */
#define FOLDER_SIZE (BASE_MAX + 2 + sizeof FOLDER)

static const char *const left_out[] = {"workers",      "name",        "control",   "control-ro",
                                       "config",       "metrics",     "log",       "conn-log",
                                       "log-format",   "ready-fd",    "ready-min", "on-event",
                                       "stop-timeout", "pidfile-dir", "lame-duck", "max-age",
                                       "max-rss",      "max-conns",   "once",      NULL};

/* The workers' user may go through it to the control socket. */
static bool make_folder(char folder[FOLDER_SIZE])
{
    const char *base = secure_getenv("TMPDIR");

    if (!base || *base != '/' || strlen(base) > BASE_MAX)
        base = BASE;
    snprintf(folder, FOLDER_SIZE, "%s/" FOLDER, base);
    if (mkdtemp(folder) && chmod(folder, 0711) == 0)
        return true;
    log_error("cannot make a folder in %s for the control socket of check --run: %s; let this user "
              "write there, or name another one by TMPDIR",
              base, strerror(errno));
    return false;
}

static int execute(const char *program, char **options)
{
    char sshim[PATH_MAX];
    char folder[FOLDER_SIZE];
    size_t count = 0;

    while (options[count])
        count++;
    char **argv = calloc(count + 2, sizeof *argv);
    if (!argv || !make_folder(folder)) {
        free(argv);
        return EXIT_USAGE;
    }
    runtime_paths_program("", sshim, sizeof sshim);
    argv[0] = (char[]){PROGRAM};
    argv[1] = sshim;
    argv[2] = folder;
    memcpy(argv + 3, options + 2, (count - 1) * sizeof *argv); /* behind the program and "run" */
    execv(program, argv);
    log_error("cannot execute %s: %s; install it again", program, strerror(errno));
    rmdir(folder);
    free(argv);
    return EXIT_USAGE;
}

int trial_run(int argc, char **program_argv)
{
    static char run[] = "run";
    char program[PATH_MAX];
    char **resolved;
    int exit_code;

    program_argv[2] = run;
    if (settings_read(&broker.config, argc - 1, program_argv + 1, &resolved, &exit_code) == DONE)
        return exit_code;
    if (!broker.config.command) {
        log_error("there is no command to check; write 'sshim check --run [options] -- COMMAND'");
        return EXIT_USAGE;
    }
    if (!runtime_paths_own_program(PROGRAM, program, sizeof program)) {
        log_error("cannot run the check: the program " PROGRAM
                  " is not there; install sshim again");
        return EXIT_USAGE;
    }
    char **options = settings_resolve_without(program_argv + 1, left_out);
    if (!options) {
        log_error("cannot run the check: out of memory");
        return EXIT_USAGE;
    }
    return execute(program, options);
}
