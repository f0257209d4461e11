/* broker.c - see broker.h. */
#include "broker/base/broker.h"

#include "broker/base/log.h"

struct broker broker;
struct runtime runtime = {.ready_fd = -1};

void broker_take_filter(void)
{
    runtime.may_switch = false;
    runtime.intercept = INTERCEPT_SECCOMP;
    runtime.handoff = HANDOFF_DIRECT; /* who accepts by itself gets no connections from us */
    if (broker.config.port.count > 0)
        log_info("with --intercept seccomp a server that asks for the port of its socket is told "
                 "REAL of --port");
}
