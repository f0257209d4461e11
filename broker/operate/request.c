/* request.c - see request.h. */
#include "broker/operate/request.h"

#include <unistd.h>

#include "broker/base/log.h"
#include "broker/operate/control.h"
#include "broker/pool/closer.h"
#include "broker/share/attach.h"
#include "broker/share/claim.h"
#include "broker/share/look.h"

bool request_handle(struct session *session, const void *message, int type, int fd)
{
    switch (type) {
    case WIRE_CLAIM:
        if (((const struct wire_claim *)message)->flags & WIRE_CLAIM_LOOK)
            return look_handle(session, message, fd);
        return claim_handle(session, message, fd);
    case WIRE_ATTACH: return attach_handle(session, message, fd);
    case WIRE_COMMAND: return control_handle(session, message);
    default:
        log_debug("pid %d sent %s, which is not for it to send", (int)session->peer.pid,
                  wire_type_name(type));
        closer_close(fd);
        return false;
    }
}
