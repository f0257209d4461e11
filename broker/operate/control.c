/* control.c - see control.h. */
#include "broker/operate/control.h"

#include <stdlib.h>
#include <string.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/life/restart.h"
#include "broker/life/stop.h"
#include "broker/operate/status.h"
#include "broker/operate/takeover.h"
#include "broker/operate/upgrade.h"

static bool send_status(struct session *session, char *(*render)(size_t *len))
{
    size_t len = 0;
    char *text = render(&len);

    if (!text)
        return false;
    session_send_text(session, text, len, status_exit_code());
    return true; /* session_send_text closes it */
}

static bool refuse(struct session *session, const char *reason)
{
    char *text = strdup(reason);

    if (!text)
        return false;
    session_send_text(session, text, strlen(text), 1);
    return true;
}

bool control_handle(struct session *session, const struct wire_command *command)
{
    if (session->peer.uid != 0 && session->peer.uid != broker.uid)
        return false;
    switch ((enum wire_command_code)command->code) {
    case WIRE_COMMAND_STATUS: return send_status(session, status_render_table);
    case WIRE_COMMAND_STATUS_JSON: return send_status(session, status_render_json);
    case WIRE_COMMAND_STOP:
        log_debug("pid %d asks to stop", (int)session->peer.pid);
        session->waits_for_end = true;
        loop_stop_timer(&session->deadline);
        if (!stop_is_under_way())
            stop_begin(EXIT_STOPPED);
        return true;
    case WIRE_COMMAND_RESTART:
        if (restart_begin(command->argument & ~WIRE_RESTART_NO_WAIT,
                          command->argument & WIRE_RESTART_NO_WAIT, session))
            return true;
        return refuse(session, "a restart is under way already, or the broker stops\n");
    case WIRE_COMMAND_TAKEOVER: return takeover_give(session);
    case WIRE_COMMAND_UPGRADE:
        if (upgrade_begin(session))
            return true;
        return refuse(session, "an upgrade is under way already, or the broker stops\n");
    }
    return false; /* no such command */
}
