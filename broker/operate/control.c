/* control.c - see control.h. */
#include "broker/operate/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/loop.h"
#include "broker/cli/options/target_options.h"
#include "broker/life/restart.h"
#include "broker/life/slot.h"
#include "broker/life/stop.h"
#include "broker/operate/tell/events.h"
#include "broker/operate/tell/reopen.h"
#include "broker/operate/tell/status.h"
#include "broker/operate/takeover.h"
#include "broker/operate/upgrade.h"
#include "broker/operate/steer/one_slot.h"
#include "broker/operate/steer/permit.h"
#include "broker/operate/steer/reload.h"
#include "broker/operate/steer/scale.h"
#include "broker/survive/resume.h"

#define WORDS_MAX 16 /* in one command */
#define REFUSALS_MS 1000
#define EXIT_CODE_WORD "exit-code "

static bool send_status(struct session *session, char *(*render)(size_t *len), bool strict)
{
    size_t len = 0;
    char *text = render(&len);

    session_send_text(session, text, len, status_exit_code(strict));
    return true; /* session_send_text closes it */
}

static void refuse(struct session *session, const char *reason)
{
    session_answer(session, 1, "%s\n", reason);
}

/* --- the commands: each has answered, or the session belongs to the work that it has begun. False:
 * the session is over, without an answer --- */

static bool on_status(struct session *session, const struct config_target *asked)
{
    return send_status(session, asked->json ? status_render_json : status_render_table,
                       asked->wait == CONFIG_WAIT_READY);
}

static bool on_stop(struct session *session, const struct config_target *asked)
{
    session_await(session, NULL);
    if (asked->now && !stop_is_under_way())
        stop_begin(EXIT_STOPPED);
    else if (!stop_is_announced())
        stop_announce(EXIT_STOPPED);
    if (asked->now)
        stop_begin(EXIT_STOPPED);
    return true;
}

static bool on_restart(struct session *session, const struct config_target *asked)
{
    struct option_fault told;
    struct restart_order order = {.parallel = asked->parallel,
                                  .stop_timeout_s = asked->stop_timeout_s,
                                  .no_wait = asked->no_wait,
                                  .news = told.text};

    if (asked->operand_count > 0 && !(order.only = one_slot_find(session, asked->operands[0])))
        return true;
    if (order.only && order.only->id >= runtime.workers)
        refuse(session, "a server that joined cannot be replaced: start it anew where it was "
                        "started");
    else if (!restart_may_begin())
        refuse(session, "a restart is under way already, or the broker stops");
    else if (!reload_options(&told))
        session_answer(session, EXIT_USAGE, "%s\n", told.text);
    else
        restart_begin_with(&order, session);
    return true;
}

static bool on_scale(struct session *session, const struct config_target *asked)
{
    scale_begin(asked->operands[0], asked->no_wait, session);
    return true;
}

static bool on_drain(struct session *session, const struct config_target *asked)
{
    one_slot_drain(session, asked);
    return true;
}

static bool on_resume(struct session *session, const struct config_target *asked)
{
    one_slot_resume(session, asked);
    return true;
}

static bool on_kill(struct session *session, const struct config_target *asked)
{
    one_slot_kill(session, asked);
    return true;
}

static bool on_deny(struct session *session, const struct config_target *asked)
{
    permit_change(session, asked->operands[0], true);
    return true;
}

static bool on_allow(struct session *session, const struct config_target *asked)
{
    permit_change(session, asked->operands[0], false);
    return true;
}

static bool on_reopen(struct session *session, const struct config_target *asked)
{
    char text[REOPEN_TEXT_MAX];

    (void)asked;
    int exit_code = reopen_logs(text, sizeof text);
    session_answer(session, exit_code, "%s\n", text);
    return true;
}

static bool on_events(struct session *session, const struct config_target *asked)
{
    events_tell(session, asked);
    return true;
}

static bool on_list(struct session *session, const struct config_target *asked)
{
    return send_status(session, asked->json ? status_render_item : status_render_row, false);
}

static bool on_upgrade(struct session *session, const struct config_target *asked)
{
    (void)asked;
    if (!upgrade_begin(session))
        refuse(session, "an upgrade is under way already, or the broker stops");
    return true;
}

/* --- the same for a client whose question the broker before us did not answer --- */

/* An instance that was started since then is not meant. */
static bool join_stop(struct session *session, const struct config_target *asked)
{
    if (!stop_is_under_way() && resume_cause() != RESUME_NONE)
        return on_stop(session, asked);
    if (stop_is_under_way())
        session_await(session, NULL);
    else
        session_answer(session, EXIT_STOPPED, "%s", "");
    return true;
}

static bool join_restart(struct session *session, const struct config_target *asked)
{
    if (restart_join(asked->no_wait, session))
        return true;
    if (resume_cause() != RESUME_NONE) /* the broker before was killed as soon as it was asked */
        return on_restart(session, asked);
    refuse(session, "given up: the broker that was asked has ended");
    return true;
}

static bool join_scale(struct session *session, const struct config_target *asked)
{
    if (resume_cause() == RESUME_NONE && slot_last_change().asker != session->peer.pid)
        refuse(session, "given up: the broker that was asked has ended");
    else
        scale_join(asked->operands[0], asked->no_wait, session);
    return true;
}

typedef bool command_handler(struct session *session, const struct config_target *asked);

static const struct {
    const char *name;
    bool changes; /* something: the asking process is logged */
    command_handler *handle;
    command_handler *join; /* NULL: it is asked once more */
} commands[] = {
    {"status", false, on_status, NULL},    {"list", false, on_list, NULL},
    {"stop", true, on_stop, join_stop},    {"restart", true, on_restart, join_restart},
    {"scale", true, on_scale, join_scale}, {"drain", true, on_drain, NULL},
    {"resume", true, on_resume, NULL},     {"kill", true, on_kill, NULL},
    {"reopen", true, on_reopen, NULL},     {"upgrade", true, on_upgrade, NULL},
    {"events", false, on_events, NULL},    {"deny", true, on_deny, NULL},
    {"allow", true, on_allow, NULL},
};

static void note_change(const struct session *session, const char *line)
{
    log_event(LOG_LEVEL_NORMAL, LOG_COMMAND,
              LOG_FACTS(LOG_TEXT("command", line), LOG_NUMBER("peer_pid", session->peer.pid),
                        LOG_NUMBER("peer_uid", session->peer.uid)),
              "command '%s' from pid %d, uid %u", line, (int)session->peer.pid,
              (unsigned)session->peer.uid);
}

/* Ends each word by a zero. */
static int split(char *line, char **words)
{
    int count = 0;

    for (char *rest, *word = strtok_r(line, " \t\r\n", &rest); word && count < WORDS_MAX;
         word = strtok_r(NULL, " \t\r\n", &rest))
        words[count++] = word;
    words[count] = NULL;
    return count;
}

/* Once a second: a peer could fill the log. */
static void note_refusal(const struct session *session, const char *line)
{
    static int64_t told_ms;
    static unsigned untold;

    if (told_ms && loop_now_ms() - told_ms < REFUSALS_MS) {
        untold++;
        return;
    }
    log_event(LOG_LEVEL_NORMAL, LOG_COMMAND_REFUSED,
              LOG_FACTS(LOG_TEXT("command", line), LOG_NUMBER("peer_pid", session->peer.pid),
                        LOG_NUMBER("peer_uid", session->peer.uid), LOG_NUMBER("untold", untold)),
              "refused command '%s' from pid %d, uid %u%s", line, (int)session->peer.pid,
              (unsigned)session->peer.uid, untold ? "; earlier refusals were not logged" : "");
    told_ms = loop_now_ms();
    untold = 0;
}

static bool may_change(const struct session *session)
{
    return door_name(session->from) != DOOR_READ_ONLY && !session_is_stranger(session);
}

static void refuse_line(struct session *session, const char *line)
{
    note_refusal(session, line);
    if (door_name(session->from) == DOOR_READ_ONLY)
        refuse(session, "refused: this socket is read-only; use the control socket");
    else
        refuse(session, "refused: only the broker's user and root may give commands here");
}

/* As an older client says it: 0 is one at a time. */
static unsigned parallel(uint32_t number)
{
    return number == 0 ? 1 : number <= CONFIG_WORKERS_MAX ? number : CONFIG_WORKERS_MAX;
}

/* What is not printable is not put into the log. */
static bool is_text(const char *line)
{
    for (; *line; line++)
        if ((unsigned char)*line < ' ' || *line == 127)
            return false;
    return true;
}

/* What only `sshim COMMAND` itself can do; `sshim status --wait` asks again and again by a message,
 * in which --wait=ready is about the exit code. NULL: nothing of that is asked for. */
static const char *find_foreign_option(const struct session *session,
                                       const struct config_target *asked)
{
    bool waits = session->from->is_text ? asked->wait != 0 : asked->wait == CONFIG_WAIT_STOPPED;

    if (asked->name || asked->control)
        return "--name and --control choose an instance: this line has reached one";
    if (strcmp(asked->command, "status") == 0 && (waits || asked->timeout_s != CONFIG_NOT_GIVEN))
        return "a line is answered at once: 'sshim status --wait' waits";
    return NULL;
}

static bool handle_words(struct session *session, int count, char **words, const char *line,
                         bool joins)
{
    struct config_target asked;
    struct option_fault fault;

    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(words[0], commands[i].name) != 0)
            continue;
        if (target_options_read(&asked, count, words, &fault) != OPTION_END_WELL) {
            session_answer(session, EXIT_USAGE, "%s\n", fault.text);
            return true;
        }
        const char *foreign = find_foreign_option(session, &asked);
        if (foreign) {
            session_answer(session, EXIT_USAGE, "%s\n", foreign);
            return true;
        }
        if (commands[i].changes && !may_change(session)) {
            refuse_line(session, line);
            return true;
        }
        if (commands[i].changes)
            note_change(session, line);
        if (joins && commands[i].join)
            return commands[i].join(session, &asked);
        return commands[i].handle(session, &asked);
    }
    session_answer(session, EXIT_USAGE, "unknown command '%s'; see sshim --help\n", words[0]);
    return true;
}

/* joins: the client has asked the broker before us. */
static bool handle_line(struct session *session, const char *line, bool joins)
{
    char copy[WIRE_LINE_MAX];
    char *words[WORDS_MAX + 1];

    snprintf(copy, sizeof copy, "%s", line);
    if (!is_text(copy))
        return false;
    int count = split(copy, words);
    if (count > 0)
        return handle_words(session, count, words, line, joins);
    session_answer(session, EXIT_USAGE, "there is no command in that line; see sshim --help\n");
    return true;
}

bool control_handle(struct session *session, const struct wire_command *command)
{
    char line[WIRE_LINE_MAX] = "";

    if (session->peer.uid != 0 && session->peer.uid != broker.uid)
        return false;
    bool joins = (command->argument & WIRE_JOIN) != 0;
    switch ((enum wire_command_code)command->code) {
    case WIRE_COMMAND_STATUS: return handle_line(session, "status", joins);
    case WIRE_COMMAND_STATUS_JSON: return handle_line(session, "status --json", joins);
    case WIRE_COMMAND_STOP: return handle_line(session, "stop", joins);
    case WIRE_COMMAND_RESTART:
        snprintf(line, sizeof line, "restart --parallel=%u%s",
                 parallel(command->argument & ~(uint32_t)(WIRE_RESTART_NO_WAIT | WIRE_JOIN)),
                 command->argument & WIRE_RESTART_NO_WAIT ? " --no-wait" : "");
        return handle_line(session, line, joins);
    case WIRE_COMMAND_TAKEOVER: return takeover_give(session, command->argument);
    case WIRE_COMMAND_UPGRADE: return handle_line(session, "upgrade", joins);
    case WIRE_COMMAND_LINE:
        memcpy(line, command->line, sizeof line - 1);
        return handle_line(session, line, joins);
    }
    return false; /* no such command */
}

bool control_handle_text(struct session *session, const char *line)
{
    if (strncmp(line, EXIT_CODE_WORD, strlen(EXIT_CODE_WORD)) == 0) {
        session->tells_exit_code = true;
        line += strlen(EXIT_CODE_WORD);
    }
    if (!is_text(line)) {
        session_answer(session, EXIT_USAGE, "a command is a line of printable characters\n");
        return true;
    }
    if (session_is_stranger(session) && door_name(session->from) != DOOR_READ_ONLY) {
        refuse_line(session, line);
        return true;
    }
    return handle_line(session, line, false);
}
