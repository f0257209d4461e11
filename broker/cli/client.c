/* client.c - see client.h. Finds the instance, sends one command, prints the answer. */
#include "broker/cli/client.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
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
    char first[CLIENT_PATH_MAX];
    char names[512];
};

/* NAME.sock: the length of NAME. 0: it is none. */
static size_t name_length(const char *file_name)
{
    size_t len = strlen(file_name);

    if (len <= strlen(SUFFIX) || strcmp(file_name + len - strlen(SUFFIX), SUFFIX) != 0)
        return 0;
    return len - strlen(SUFFIX);
}

void client_each_instance(client_visit *visit, void *context)
{
    char folder[PATH_MAX];
    char path[PATH_MAX + 300];
    struct dirent *entry;

    runtime_paths_run_folder(folder, sizeof folder);
    DIR *dir = opendir(folder);
    if (!dir)
        return;
    while ((entry = readdir(dir)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (name_length(entry->d_name) && strlen(path) < CLIENT_PATH_MAX && client_probe(path) == 1)
            visit(path, context);
    }
    closedir(dir);
}

static void note_instance(const char *path, void *context)
{
    struct instances *found = context;
    const char *name = strrchr(path, '/') + 1;
    size_t used = strlen(found->names);

    if (found->count++ == 0)
        memcpy(found->first, path, strlen(path) + 1);
    snprintf(found->names + used, sizeof found->names - used, " %.*s", (int)name_length(name),
             name);
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
    client_each_instance(note_instance, &found);
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

static void tell_silence(const char *command, const char *control_path)
{
    log_error("the broker at %s did not answer '%s' within %d s; see whether it was stopped (kill "
              "-CONT its pid), or end it with kill -KILL: its keeper goes on",
              control_path, command, DEADLINE_S);
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

/* What the command is answered with: printed when it is known whether it is good news. */
struct reply {
    char *text;
    size_t len;
    FILE *stream;
};

static void print_reply(struct reply *reply, bool well)
{
    FILE *out = well ? stdout : stderr;

    if (!reply->stream)
        return;
    fclose(reply->stream);
    fwrite(reply->text, 1, reply->len, out);
    free(reply->text);
}

/* Takes text until the result comes; the end of the connection is the result of stop. */
static int receive_answer(int fd, const struct config_target *target, enum wire_command_code code,
                          const char *control_path, struct reply *reply)
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
            tell_silence(target->command, control_path);
            return NO_ANSWER;
        }
        if (got <= 0) {
            if (strcmp(target->command, "stop") == 0)
                return EXIT_STOPPED;
            if (strcmp(target->command, "upgrade") == 0)
                return judge_upgrade(control_path);
            log_error("the broker did not answer; it may belong to another user, see its log");
            return NO_ANSWER;
        }
        switch (wire_check(&message, (size_t)got, false)) {
        case WIRE_TEXT:
            if (reply->stream)
                fwrite(message.text.text, 1, (size_t)got - WIRE_TEXT_MIN, reply->stream);
            break;
        case WIRE_RESULT: return message.result.exit_code;
        default:
            log_error(
                "the broker speaks another version of the protocol; use the sshim that started it");
            return NO_ANSWER;
        }
    }
}

static int connect_or_tell(const char *control_path)
{
    int fd = client_connect(control_path);

    if (fd < 0 && errno == EPERM)
        log_error("cannot believe what listens at %s: it is a process of another user; give the "
                  "control socket of a broker of yours",
                  control_path);
    else if (fd < 0)
        log_error("cannot reach a broker at %s: %s; 'sshim list' shows what runs", control_path,
                  strerror(errno));
    return fd;
}

static bool send_question(int fd, const struct config_target *target, enum wire_command_code code)
{
    struct wire_command command = {.head = WIRE_HEAD(WIRE_COMMAND),
                                   .code = code,
                                   .argument = target->parallel |
                                               (target->no_wait ? WIRE_RESTART_NO_WAIT : 0)};

    if (code == WIRE_COMMAND_LINE)
        config_format_line(target, command.line, sizeof command.line);
    return fdpass_send(fd, &command, WIRE_COMMAND_MIN + strlen(command.line), -1, 0) == 0;
}

int client_ask(const char *control_path, const struct config_target *target,
               enum wire_command_code code)
{
    struct reply reply = {0};
    int exit_code = NO_ANSWER;

    if (takes_long(code) && !answers(control_path)) {
        tell_silence(target->command, control_path);
        return NO_ANSWER;
    }
    int fd = connect_or_tell(control_path);
    if (fd < 0)
        return NO_ANSWER;
    reply.stream = open_memstream(&reply.text, &reply.len);
    if (send_question(fd, target, code))
        exit_code = receive_answer(fd, target, code, control_path, &reply);
    else
        log_error("cannot ask the broker at %s: %s; see whether it runs", control_path,
                  strerror(errno));
    print_reply(&reply, exit_code == EXIT_STOPPED || is_status(code));
    close(fd);
    return exit_code;
}

int client_run(const struct config_target *target, enum wire_command_code code)
{
    char path[CLIENT_PATH_MAX];
    int exit_code = resolve(target, path, sizeof path) ? client_ask(path, target, code) : NO_ANSWER;

    return exit_code == NO_ANSWER ? (is_status(code) ? EXIT_STATUS_UNKNOWN : 1) : exit_code;
}
