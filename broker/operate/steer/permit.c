/* permit.c - see permit.h. */
#include "broker/operate/steer/permit.h"

#include <errno.h>
#include <string.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/handout/handout.h"
#include "broker/handout/front/access.h"

void permit_change(struct session *session, const char *text, bool denied)
{
    char network[CIDR_TEXT_MAX];
    struct cidr cidr;

    if (!cidr_parse(text, &cidr)) {
        session_answer(session, EXIT_USAGE,
                       "'%s' is no address and no network: write 192.0.2.7, 192.0.2.0/24 or "
                       "2001:db8::/32\n",
                       text);
        return;
    }
    if (runtime.handoff == HANDOFF_DIRECT) {
        session_answer(session, 1,
                       "no connection passes the broker here: workers take them by themselves "
                       "(--handoff direct, or programs that cannot be preloaded); use the firewall "
                       "of the system\n");
        return;
    }
    if (!access_set(&cidr, denied)) {
        session_answer(session, 1, "there are too many rules; deny networks, not addresses\n");
        return;
    }
    journal_touch();
    if (handout_enforce() < 0) {
        session_answer(session, 1, "cannot see each connection: %s\n", strerror(errno));
        return;
    }
    session_answer(session, EXIT_STOPPED, "%s is %s\n", cidr_format(&cidr, network),
                   denied ? "denied" : "allowed");
}
