/* client.c - see client.h. Finds the instance, sends one command, prints the answer. */
#include "broker/cli/client.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/base/log.h"
#include "broker/cli/runtime_paths.h"
#include "proto/fdpass.h"

#define SUFFIX ".sock"
#define NO_ANSWER (-1) /* in place of an exit code */
#define DEADLINE_S 10  /* a broker that lives answers within milliseconds */

static void set_deadline(int fd)
{
    struct timeval deadline = {.tv_sec = DEADLINE_S};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof deadline);
}

static bool owns_folder(uid_t uid, const char *control_path)
{
    struct stat info;
    char folder[PATH_MAX];

    snprintf(folder, sizeof folder, "%.*s/", (int)(strrchr(control_path, '/') - control_path),
             control_path);
    return stat(folder, &info) == 0 && info.st_uid == uid;
}

/* Whoever may write to the folder could have put a socket there. Root, which is the operator of
 * everybody's brokers, asks one in the folder of its user; in a folder as /tmp only its own. */
static bool is_believed(int fd, const char *control_path)
{
    struct ucred peer;
    socklen_t len = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return false;
    return peer.uid == 0 || peer.uid == geteuid() ||
           (geteuid() == 0 && owns_folder(peer.uid, control_path));
}

static int connect_to(const struct sockaddr_un *addr, socklen_t len, const char *control_path)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    set_deadline(fd);
    if (connect(fd, (const struct sockaddr *)addr, len) == 0) {
        if (is_believed(fd, control_path))
            return fd;
        errno = EPERM;
    }
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

int client_connect(const char *control_path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", control_path);
    return connect_to(&addr, sizeof addr, control_path);
}

static int close_probe(int fd)
{
    if (fd >= 0) {
        close(fd);
        return 1;
    }
    return errno == ECONNREFUSED || errno == ENOENT ? 0 : -1;
}

int client_probe(const char *control_path)
{
    return close_probe(client_connect(control_path));
}

int client_probe_abstract(const char *name, const char *control_path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t len = strnlen(name, sizeof addr.sun_path - 1);

    memcpy(addr.sun_path + 1, name, len);
    socklen_t addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
    return close_probe(connect_to(&addr, addr_len, control_path));
}

struct instances {
    int count;
    char first[108];
    char names[512];
};

/* Every socket in the run folder behind which somebody lives. */
static void find_instances(struct instances *found)
{
    char folder[PATH_MAX];
    char path[PATH_MAX + 300];
    struct dirent *entry;

    runtime_paths_run_folder(folder, sizeof folder);
    DIR *dir = opendir(folder);
    if (!dir)
        return;
    while ((entry = readdir(dir)) != NULL) {
        size_t len = strlen(entry->d_name);
        if (len <= strlen(SUFFIX) || strcmp(entry->d_name + len - strlen(SUFFIX), SUFFIX) != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (strlen(path) >= sizeof found->first || client_probe(path) != 1)
            continue;
        if (found->count++ == 0)
            memcpy(found->first, path, strlen(path) + 1);
        size_t used = strlen(found->names);
        snprintf(found->names + used, sizeof found->names - used, " %.*s",
                 (int)(len - strlen(SUFFIX)), entry->d_name);
    }
    closedir(dir);
}

static bool resolve(const struct config_target *target, char *path, size_t size)
{
    struct instances found = {0};

    if (target->name && !runtime_paths_is_name(target->name)) {
        log_error("'%s' is no name of an instance; a name has letters, digits and ._- only",
                  target->name);
        return false;
    }
    if (target->name || target->control)
        return runtime_paths_control(target->control, target->name, path, size);
    find_instances(&found);
    if (found.count == 1) {
        snprintf(path, size, "%s", found.first);
        return true;
    }
    if (found.count == 0)
        log_error("no instance is running; start one with 'sshim run -- COMMAND', or name it with "
                  "--control");
    else
        log_error("%d instances are running:%s; choose one with --name", found.count, found.names);
    return false;
}

static const char *name_of(enum wire_command_code code)
{
    switch (code) {
#define X(name, value, text)                                                                       \
    case WIRE_COMMAND_##name: return text;
        WIRE_COMMANDS(X)
#undef X
    }
    return "?";
}

static void tell_silence(enum wire_command_code code, const char *control_path)
{
    log_error("the broker at %s did not answer '%s' within %d s; see whether it was stopped (kill "
              "-CONT its pid), or end it with kill -KILL: its keeper goes on",
              control_path, name_of(code), DEADLINE_S);
}

static bool is_status(enum wire_command_code code)
{
    return code == WIRE_COMMAND_STATUS || code == WIRE_COMMAND_STATUS_JSON;
}

static bool takes_long(enum wire_command_code code)
{
    return code == WIRE_COMMAND_STOP || code == WIRE_COMMAND_RESTART ||
           code == WIRE_COMMAND_UPGRADE || code == WIRE_COMMAND_LINE;
}

/* stop, restart and upgrade are answered when they are done, which may take long: meanwhile, and
 * before, what is answered at once is asked. False for a broker that is silent. */
static bool answers(const char *control_path)
{
    struct wire_command command = {.code = WIRE_COMMAND_STATUS_JSON};
    char byte;
    int fd = client_connect(control_path);

    if (fd < 0)
        return errno != EAGAIN; /* not silent, but gone: the command itself will tell */
    command.head = WIRE_HEAD(WIRE_COMMAND);
    bool silent = fdpass_send(fd, &command, WIRE_COMMAND_MIN, -1, 0) == 0 &&
                  recv(fd, &byte, sizeof byte, 0) < 0 && errno == EAGAIN;
    close(fd);
    return !silent;
}

/* A broker of an older version says nothing when it executes another program. */
static int judge_upgrade(const char *control_path)
{
    if (client_probe(control_path) == 1)
        return EXIT_STOPPED;
    log_error("the broker at %s ended during the upgrade; see its log, and start it anew",
              control_path);
    return NO_ANSWER;
}

/* Prints text until the result comes; the end of the connection is the result of stop. */
static int receive_answer(int fd, enum wire_command_code code, const char *control_path)
{
    union {
        struct wire_head head;
        struct wire_text text;
        struct wire_result result;
    } message;
    int passed_fd;

    for (;;) {
        ssize_t got = fdpass_recv(fd, &message, sizeof message, &passed_fd, MSG_CMSG_CLOEXEC, NULL);
        if (passed_fd >= 0)
            close(passed_fd);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN) {
            if (takes_long(code) && answers(control_path))
                continue;
            tell_silence(code, control_path);
            return NO_ANSWER;
        }
        if (got <= 0) {
            if (code == WIRE_COMMAND_STOP)
                return EXIT_STOPPED;
            if (code == WIRE_COMMAND_UPGRADE)
                return judge_upgrade(control_path);
            log_error("the broker did not answer; it may belong to another user, see its log");
            return NO_ANSWER;
        }
        switch (wire_check(&message, (size_t)got, false)) {
        case WIRE_TEXT: fwrite(message.text.text, 1, (size_t)got - WIRE_TEXT_MIN, stdout); break;
        case WIRE_RESULT: return message.result.exit_code;
        default:
            log_error(
                "the broker speaks another version of the protocol; use the sshim that started it");
            return NO_ANSWER;
        }
    }
}

static int ask(const struct config_target *target, enum wire_command_code code)
{
    struct wire_command command = {
        .code = code, .argument = target->parallel | (target->no_wait ? WIRE_RESTART_NO_WAIT : 0)};
    char path[108];

    if (!resolve(target, path, sizeof path))
        return NO_ANSWER;
    if (takes_long(code) && !answers(path)) {
        tell_silence(code, path);
        return NO_ANSWER;
    }
    int fd = client_connect(path);
    if (fd < 0 && errno == EPERM) {
        log_error("cannot believe what listens at %s: it is a process of another user; give the "
                  "control socket of a broker of yours",
                  path);
        return NO_ANSWER;
    }
    if (fd < 0) {
        log_error("cannot reach a broker at %s: %s; 'sshim status' without options lists what runs",
                  path, strerror(errno));
        return NO_ANSWER;
    }
    command.head = WIRE_HEAD(WIRE_COMMAND);
    if (code == WIRE_COMMAND_LINE)
        config_format_line(target, command.line, sizeof command.line);
    int exit_code = NO_ANSWER;
    if (fdpass_send(fd, &command, WIRE_COMMAND_MIN + strlen(command.line), -1, 0) == 0)
        exit_code = receive_answer(fd, code, path);
    else
        log_error("cannot ask the broker at %s: %s; see whether it runs", path, strerror(errno));
    close(fd);
    return exit_code;
}

int client_run(const struct config_target *target, enum wire_command_code code)
{
    int exit_code = ask(target, code);

    return exit_code == NO_ANSWER ? (is_status(code) ? EXIT_STATUS_UNKNOWN : 1) : exit_code;
}
