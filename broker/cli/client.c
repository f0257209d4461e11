/* client.c - see client.h. Sends one command, prints the answer. */
#include "broker/cli/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/log.h"
#include "broker/base/turn.h"
#include "broker/cli/broker_socket.h"
#include "broker/cli/instances.h"
#include "broker/cli/options/target_options.h"
#include "proto/fdpass.h"

#define NO_ANSWER (-1) /* in place of an exit code */
#define CUT_OFF (-2)   /* the same: ask the next broker */
#define UNCLEAR (-3)   /* the same: several instances run, which was told */
#define CUTS_MAX 100
#define LOOK_MS 50 /* between looks whether what is waited for is there */

static void tell_silence(const char *command, const char *control_path)
{
    log_error("the broker at %s did not answer '%s' within %d s; see whether it was stopped (kill "
              "-CONT its pid), or end it with kill -KILL: its keeper goes on",
              control_path, command, BROKER_SOCKET_DEADLINE_S);
}

static bool is_command(const struct config_target *target, const char *name)
{
    return strcmp(target->command, name) == 0;
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
    int fd = broker_socket_connect(control_path);

    if (fd < 0)
        return errno != EAGAIN; /* not silent, but gone: the command itself will tell */
    command.head = WIRE_HEAD(WIRE_COMMAND);
    bool silent = fdpass_send(fd, &command, WIRE_COMMAND_MIN, -1, 0) == 0 &&
                  recv(fd, &byte, sizeof byte, 0) < 0 && errno == EAGAIN;
    close(fd);
    return !silent;
}

/* What the next broker goes on with, or what may as well be asked twice. */
static bool can_be_joined(const struct config_target *target)
{
    return is_command(target, "restart") || is_command(target, "stop") ||
           is_command(target, "scale") || is_command(target, "drain") ||
           is_command(target, "resume");
}

/*
 * The connection has ended without an answer. Where a broker lives it is the next one, after a kill
 * or an upgrade. A broker of an older version says nothing
 * when it executes another program.
 */
static int judge_end(const struct config_target *target, const char *control_path)
{
    bool lives = broker_socket_probe(control_path) == 1;

    if (lives && can_be_joined(target))
        return CUT_OFF;
    if (is_command(target, "stop") || (lives && is_command(target, "upgrade")))
        return EXIT_STOPPED;
    if (lives)
        log_error("the broker at %s was killed or upgraded before it answered '%s'; see "
                  "'sshim status'",
                  control_path, target->command);
    else
        log_error("the broker at %s ended before it answered '%s'; see its log", control_path,
                  target->command);
    return NO_ANSWER;
}

/* These tell a state, good or bad, unless the line itself was refused. */
static bool is_report(const struct config_target *target, int exit_code)
{
    return (is_command(target, "status") || is_command(target, "list")) && exit_code != EXIT_USAGE;
}

/* What the command is answered with: printed when it is known whether it is an error. */
struct reply {
    char *text;
    size_t len;
    FILE *stream;
};

static void print_reply(struct reply *reply, bool well)
{
    if (!reply->stream)
        return;
    fclose(reply->stream);
    if (well)
        fwrite(reply->text, 1, reply->len, stdout);
    else
        for (char *rest, *line = strtok_r(reply->text, "\n", &rest); line;
             line = strtok_r(NULL, "\n", &rest))
            log_error("%s", line);
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
        if (got <= 0)
            return judge_end(target, control_path);
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
    int fd = broker_socket_connect(control_path);

    if (fd < 0 && errno == EPERM)
        log_error("cannot trust the process at %s: it belongs to another user; give the control "
                  "socket of your own broker",
                  control_path);
    else if (fd < 0)
        log_error("cannot reach a broker at %s: %s; 'sshim list' shows what runs", control_path,
                  strerror(errno));
    return fd;
}

static bool send_question(int fd, const struct config_target *target, enum wire_command_code code,
                          bool was_cut_off)
{
    struct wire_command command = {.head = WIRE_HEAD(WIRE_COMMAND),
                                   .code = code,
                                   .argument = target->parallel |
                                               (target->no_wait ? WIRE_RESTART_NO_WAIT : 0) |
                                               (was_cut_off ? WIRE_JOIN : 0)};

    if (code == WIRE_COMMAND_LINE)
        target_options_format(target, command.line, sizeof command.line);
    return fdpass_send(fd, &command, WIRE_COMMAND_MIN + strlen(command.line), -1, 0) == 0;
}

/* One connection. */
static int ask_once(const char *control_path, const struct config_target *target,
                    enum wire_command_code code, bool was_cut_off)
{
    struct reply reply = {0};
    int exit_code = NO_ANSWER;
    int fd = was_cut_off ? broker_socket_connect(control_path) : connect_or_tell(control_path);

    if (fd < 0)
        return was_cut_off ? judge_end(target, control_path) : NO_ANSWER;
    reply.stream = open_memstream(&reply.text, &reply.len);
    if (send_question(fd, target, code, was_cut_off))
        exit_code = receive_answer(fd, target, code, control_path, &reply);
    else
        log_error("cannot ask the broker at %s: %s; see whether it runs", control_path,
                  strerror(errno));
    print_reply(&reply, exit_code == EXIT_STOPPED || is_report(target, exit_code));
    close(fd);
    return exit_code;
}

int client_ask(const char *control_path, const struct config_target *target,
               enum wire_command_code code)
{
    if (takes_long(code) && !answers(control_path)) {
        tell_silence(target->command, control_path);
        return NO_ANSWER;
    }
    int exit_code = ask_once(control_path, target, code, false);
    for (int cuts = 0; exit_code == CUT_OFF && cuts < CUTS_MAX; cuts++) {
        usleep(LOOK_MS * 1000); /* one that ends may still be found for a moment */
        exit_code = ask_once(control_path, target, code, true);
    }
    if (exit_code != CUT_OFF)
        return exit_code;
    log_error("the broker at %s does not answer '%s'; it may belong to another user, see its log",
              control_path, target->command);
    return NO_ANSWER;
}

static int resolve_and_ask(const struct config_target *target, enum wire_command_code code)
{
    char path[INSTANCES_PATH_MAX];

    return instances_resolve(target, path) ? client_ask(path, target, code) : NO_ANSWER;
}

/* What status exits with: 0 only when it is ready. NO_ANSWER if no broker lives, UNCLEAR after one
 * line; else it prints nothing. */
static int look_at(const struct config_target *target)
{
    struct wire_command command = {
        .head = WIRE_HEAD(WIRE_COMMAND), .code = WIRE_COMMAND_LINE, .line = "status --wait=ready"};
    union {
        struct wire_head head;
        struct wire_text text;
        struct wire_result result;
    } message;
    char path[INSTANCES_PATH_MAX];
    int exit_code = NO_ANSWER;
    enum instances_found found = instances_find(target, path);
    int fd = found == INSTANCES_ONE ? broker_socket_connect(path) : -1;

    if (fd < 0)
        return found == INSTANCES_SEVERAL ? UNCLEAR : NO_ANSWER;
    if (fdpass_send(fd, &command, WIRE_COMMAND_MIN + strlen(command.line), -1, 0) == 0)
        for (ssize_t got; (got = recv(fd, &message, sizeof message, 0)) > 0;)
            if (wire_check(&message, (size_t)got, false) == WIRE_RESULT)
                exit_code = (int)message.result.exit_code;
    close(fd);
    return exit_code;
}

/* False: not in time, or UNCLEAR. A broker that has ended may be one that is being replaced. seen:
 * what status exited with last. */
static bool await(const struct config_target *target, int *seen)
{
    bool has_end = target->timeout_s != CONFIG_NOT_GIVEN;
    int64_t end_ms = turn_read_ms() + (int64_t)target->timeout_s * 1000;
    int wanted = target->wait == CONFIG_WAIT_READY ? EXIT_STOPPED : NO_ANSWER;

    while ((*seen = look_at(target)) != wanted) {
        if (*seen == UNCLEAR || (has_end && turn_read_ms() >= end_ms))
            return false;
        usleep(LOOK_MS * 1000);
    }
    return true;
}

static int wait_and_ask(const struct config_target *target, enum wire_command_code code)
{
    int seen;
    bool is_there = await(target, &seen);

    if (seen == UNCLEAR)
        return EXIT_STATUS_UNKNOWN;
    if (is_there && target->wait == CONFIG_WAIT_STOPPED)
        return EXIT_STOPPED;
    if (!is_there && seen == NO_ANSWER) {
        log_error("not ready within %u s: no broker answers; see what runs ('sshim list'), or give "
                  "a longer --timeout",
                  target->timeout_s);
        return EXIT_STATUS_UNKNOWN;
    }
    int exit_code = resolve_and_ask(target, code);
    if (is_there)
        return exit_code == NO_ANSWER ? EXIT_STATUS_UNKNOWN : exit_code;
    log_error("not %s within %u s; see the broker's log, or give a longer --timeout",
              target->wait == CONFIG_WAIT_READY ? "ready" : "stopped", target->timeout_s);
    return exit_code == EXIT_STATUS_DEGRADED ? exit_code : EXIT_STATUS_UNKNOWN;
}

int client_run(const struct config_target *target, enum wire_command_code code)
{
    if (is_status(code) && target->wait)
        return wait_and_ask(target, code);
    int exit_code = resolve_and_ask(target, code);

    return exit_code == NO_ANSWER ? (is_status(code) ? EXIT_STATUS_UNKNOWN : 1) : exit_code;
}
