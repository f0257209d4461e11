/*
 * resume.c - see resume.h. $SSHIM_RESUME is "JOURNAL_FD crash|upgrade|take-back MASK LIMIT
 * [FD...]", $SSHIM_RESUME_IGNORED the set of ignored signals, which exec does not tell: we ignore
 * SIGPIPE, $SSHIM_RESUME_PROGRAM the path by which the program was called.
 */
#include "broker/survive/resume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/base/loop/fds.h"
#include "broker/cli/runtime_paths.h"
#include "broker/cli/settings/reread.h"
#include "broker/handout/canonical/rate.h"
#include "broker/handout/dispatch.h"
#include "broker/handout/front/front.h"
#include "broker/life/launch/original.h"
#include "broker/pool/listener.h"
#include "broker/survive/recount.h"
#include "broker/survive/state_load.h"

#define STRAYS_MAX 1024

static char **program_argv;
static char program_path[PATH_MAX];
static enum resume_cause cause;
static int strays[STRAYS_MAX];
static int stray_count;

static const char *const cause_names[] = {[RESUME_NONE] = "none",
                                          [RESUME_CRASH] = "crash",
                                          [RESUME_UPGRADE] = "upgrade",
                                          [RESUME_TAKE_BACK] = "take-back"};

void resume_init(char **argv)
{
    const char *called = secure_getenv("SSHIM_RESUME_PROGRAM");

    program_argv = argv;
    if (called && *called == '/')
        snprintf(program_path, sizeof program_path, "%s", called);
    else
        runtime_paths_program(argv[0], program_path, sizeof program_path);
    unsetenv("SSHIM_RESUME_PROGRAM");
}

void resume_set_arguments(char **argv)
{
    program_argv = argv;
}

const char *resume_program(void)
{
    return program_path;
}

char **resume_arguments(void)
{
    return program_argv;
}

/* *context: the flags of the descriptor. */
static void set_flags(int fd, void *context)
{
    fcntl(fd, F_SETFD, *(const int *)context);
}

/* All that the next program needs, and no other program. */
static void set_flags_of_all(int flags)
{
    struct journal_upgrade upgrade;

    for (int i = 0; i < stray_count; i++)
        set_flags(strays[i], &flags);
    set_flags(journal_fd(), &flags);
    state_each_fd(set_flags, &flags);
    if (!journal_find_upgrade(&upgrade))
        return;
    set_flags(upgrade.old_program_fd, &flags);
    set_flags(upgrade.asker_fd, &flags);
    set_flags(upgrade.watcher_fd, &flags);
}

/* Other stream sockets here listen, are bound only as yet, or were shut down by a stop. But one
 * that is being sent may have been reset, and is to be counted. */
static bool is_connection(int fd)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;

    return getpeername(fd, (struct sockaddr *)&peer, &len) == 0 ||
           fd == atomic_load(journal_live.in_hand_fd);
}

/* Our channels and links are sockets of packets as well. */
static bool is_packet_in_hand(int fd, int type)
{
    return type == SOCK_SEQPACKET && fd == atomic_load(journal_live.in_hand_fd);
}

static bool is_asker(int fd)
{
    struct journal_upgrade upgrade;

    return journal_find_upgrade(&upgrade) && fd == upgrade.asker_fd;
}

/* A connection that was accepted and got no further, whatever the snapshot says that this number
 * was. */
static bool is_stray(int fd)
{
    int type = fds_get_option(fd, SO_TYPE);

    return fd > STDERR_FILENO && (fcntl(fd, F_GETFD) & FD_CLOEXEC) &&
           (type == SOCK_STREAM || is_packet_in_hand(fd, type)) && is_connection(fd) &&
           !journal_is_closing(fd) && !is_asker(fd);
}

/* A connection that was being sent and was then taken out of its channel is here twice. */
static bool is_known(int fd)
{
    struct stat info;
    struct stat known;

    if (fstat(fd, &info) < 0)
        return true;
    for (int i = 0; i < stray_count; i++)
        if (fstat(strays[i], &known) == 0 && known.st_ino == info.st_ino)
            return true;
    return false;
}

static void find_strays(void)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;

    while (dir && (entry = readdir(dir)) != NULL)
        if (stray_count < STRAYS_MAX && is_stray(atoi(entry->d_name)) &&
            !is_known(atoi(entry->d_name)))
            strays[stray_count++] = atoi(entry->d_name);
    if (dir)
        closedir(dir);
}

void resume_exec(const char *program, enum resume_cause why)
{
    char text[96 + STRAYS_MAX * 12];

    if (getauxval(AT_SECURE)) { /* it would ignore our variables, see secure_getenv(3) */
        errno = EPERM;
        return;
    }
    struct original original = original_get();
    int used = snprintf(text, sizeof text, "%d %s %" PRIx64 " %" PRIu64, journal_fd(),
                        cause_names[why], original.signal_mask, original.file_limit);

    stray_count = 0; /* those that were passed to us are among what is found, or are over */
    held_each_fd(set_flags, &(int){0}); /* no strays */
    if (why != RESUME_UPGRADE)
        find_strays();
    for (int i = 0; i < stray_count; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, " %d", strays[i]);
    set_flags_of_all(0);
    setenv("SSHIM_RESUME", text, 1);
    setenv("SSHIM_RESUME_PROGRAM", program_path, 1);
    reread_export();
    snprintf(text, sizeof text, "%" PRIx64, original.ignored_signals);
    setenv("SSHIM_RESUME_IGNORED", text, 1);
    execv(program, program_argv);
    int saved = errno;
    set_flags_of_all(FD_CLOEXEC);
    unsetenv("SSHIM_RESUME");
    unsetenv("SSHIM_RESUME_PROGRAM");
    unsetenv("SSHIM_RESUME_IGNORED");
    reread_unexport();
    errno = saved;
}

void resume_rescue(void)
{
    struct journal_upgrade upgrade;
    char old_program[48];

    if (journal_find_upgrade(&upgrade) && journal_take_hand_over())
        resume_exec(program_path, RESUME_UPGRADE);
    if (journal_find_upgrade(&upgrade)) {
        snprintf(old_program, sizeof old_program, "/proc/self/fd/%d", upgrade.old_program_fd);
        resume_exec(old_program, RESUME_TAKE_BACK);
    }
    resume_exec("/proc/self/exe", RESUME_CRASH);
}

/* An older version gives none. */
static uint64_t take_ignored(void)
{
    const char *text = secure_getenv("SSHIM_RESUME_IGNORED");
    uint64_t ignored = text ? strtoull(text, NULL, 16) : 0;

    unsetenv("SSHIM_RESUME_IGNORED");
    return ignored;
}

static enum resume_cause cause_of(const char *name)
{
    for (int i = RESUME_CRASH; i < (int)(sizeof cause_names / sizeof cause_names[0]); i++)
        if (strcmp(name, cause_names[i]) == 0)
            return (enum resume_cause)i;
    return RESUME_CRASH;
}

/* Closed on exec from now on, so that the next keeper finds it, and that none is named twice. */
static bool is_inherited_connection(int fd)
{
    int type = fds_get_option(fd, SO_TYPE);

    return fd > STDERR_FILENO && fcntl(fd, F_GETFD) == 0 &&
           (type == SOCK_STREAM || type == SOCK_SEQPACKET) && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

static bool parse(char *text)
{
    struct original original = {0};
    char name[16];
    int used = 0;
    int fd;

    if (sscanf(text, "%d %15s %" SCNx64 " %" SCNu64 "%n", &fd, name, &original.signal_mask,
               &original.file_limit, &used) < 4 ||
        journal_adopt(fd) < 0)
        return false;
    original.ignored_signals = take_ignored();
    original_set(&original);
    cause = cause_of(name);
    for (char *rest = text + used, *next; stray_count < STRAYS_MAX; rest = next) {
        int stray = (int)strtol(rest, &next, 10);
        if (next == rest)
            break;
        if (is_inherited_connection(stray))
            strays[stray_count++] = stray;
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return true;
}

/* What an upgrade has open meanwhile. */
static void close_upgrade_on_exec(void)
{
    struct journal_upgrade upgrade;

    if (!journal_find_upgrade(&upgrade))
        return;
    fcntl(upgrade.old_program_fd, F_SETFD, FD_CLOEXEC);
    if (upgrade.asker_fd >= 0)
        fcntl(upgrade.asker_fd, F_SETFD, FD_CLOEXEC);
    if (upgrade.watcher_fd >= 0)
        fcntl(upgrade.watcher_fd, F_SETFD, FD_CLOEXEC);
}

enum proceed resume_find(bool *is_due)
{
    char *text = secure_getenv("SSHIM_RESUME");

    *is_due = text != NULL;
    if (!text)
        return GO_ON;
    if (!parse(text)) {
        log_error("cannot go on from the broker before: this version does not read its journal; "
                  "stop its workers by hand and start anew");
        return DONE;
    }
    unsetenv("SSHIM_RESUME");
    close_upgrade_on_exec();
    return GO_ON;
}

bool resume_can_read(int other_journal_fd)
{
    return journal_look(other_journal_fd) == 0 && state_is_readable();
}

/* -1: the broker before has closed it after its last snapshot. Then the number may be one of ours
 * by now, which alone are closed on exec: what is inherited is not. */
static int close_on_exec_again(int fd)
{
    int flags = fcntl(fd, F_GETFD);

    if (flags < 0 || (flags & FD_CLOEXEC))
        return -1;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd;
}

struct mapping {
    int number;
    int fd;
};

static struct mapping *mappings;
static size_t mapping_count;

void resume_map_fd(int number, int fd)
{
    struct mapping *more = realloc(mappings, (mapping_count + 1) * sizeof *mappings);

    if (!more)
        abort();
    mappings = more;
    mappings[mapping_count++] = (struct mapping){number, fd};
}

void resume_forget_fds(void)
{
    while (mapping_count)
        close(mappings[--mapping_count].fd);
}

/* They come and are asked for in the same order, but for a few: look on from the last one. */
static int mapped_fd(int number)
{
    static size_t last;

    for (size_t i = 0; i < mapping_count; i++) {
        last = last + 1 < mapping_count ? last + 1 : 0;
        if (mappings[last].number == number)
            return mappings[last].fd;
    }
    return -1;
}

int resume_load(void)
{
    recount_begin(strays, stray_count);
    if (state_load(mapping_count ? mapped_fd : close_on_exec_again) < 0)
        return -1;
    front_load(mapping_count ? mapped_fd : close_on_exec_again);
    return 0;
}

void resume_hand_out(void)
{
    struct listener *listener;

    for (int i = 0; i < stray_count; i++)
        recount_rescue(strays[i]);
    stray_count = 0; /* done with: by the next upgrade or crash these numbers are others' */
    atomic_store(journal_live.in_hand_fd, -1);
    TAILQ_FOREACH(listener, &listeners, all) {
        listener_repair_counts(listener);
        rate_publish_all(listener); /* front_load() has decided what passes us */
        dispatch_pump(listener);
    }
}

const char *resume_describe(void)
{
    if (mapping_count)
        return "of the broker before";
    return cause == RESUME_CRASH     ? "after a crash of the broker"
           : cause == RESUME_UPGRADE ? "after an upgrade"
                                     : "after an upgrade that failed";
}

bool resume_keeps_numbers(void)
{
    return mapping_count == 0;
}

enum resume_cause resume_cause(void)
{
    return cause;
}

bool resume_was_keeper(void)
{
    return cause == RESUME_CRASH || cause == RESUME_TAKE_BACK;
}
