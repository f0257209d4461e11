/* control.c - see control.h. */
#include "control.h"

#include <stdlib.h>

#include "broker.h"
#include "fleet.h"
#include "log.h"
#include "status.h"

static bool send_status(struct session *session, char *(*render)(size_t *len))
{
    size_t len = 0;
    char *text = render(&len);

    if (!text)
        return false;
    session_send_text(session, text, len, EXIT_STOPPED);
    return true; /* session_send_text closes it */
}

bool control_handle(struct session *session, const struct wire_command *command)
{
    if (session->peer.uid != 0 && session->peer.uid != broker.uid)
        return false;
    switch (command->code) {
    case WIRE_COMMAND_STATUS: return send_status(session, status_render_table);
    case WIRE_COMMAND_STATUS_JSON: return send_status(session, status_render_json);
    case WIRE_COMMAND_STOP:
        log_debug("pid %d asks to stop", (int)session->peer.pid);
        session->waits_for_end = true;
        loop_stop_timer(&session->deadline);
        if (!fleet_is_stopping())
            fleet_stop(EXIT_STOPPED);
        return true;
    default: return false;
    }
}
