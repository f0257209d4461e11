/* announce.c - see announce.h. */
#include "broker/life/begin/announce.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/pool/listener.h"

void announce_ready_fd(void)
{
    if (runtime.ready_fd < 0)
        return;
    if (write(runtime.ready_fd, "\n", 1) != 1)
        log_error("cannot write to --ready-fd %d: %s; give an fd that is open for writing",
                  runtime.ready_fd, strerror(errno));
    close(runtime.ready_fd);
    runtime.ready_fd = -1;
}

/* " on ADDRESS, ADDRESS"; what has no room is counted. */
static void list_addresses(char *text, size_t size)
{
    char address[SOCKET_KEY_TEXT_MAX];
    const struct listener *listener;
    unsigned left_out = 0;
    size_t used = 0;

    text[0] = '\0';
    TAILQ_FOREACH(listener, &listeners, all) {
        socket_key_format(&listener->socket, &listener->bound, address);
        if (used + strlen(address) + 32 > size)
            left_out++;
        else
            used += (size_t)sprintf(text + used, "%s%s", used ? ", " : " on ", address);
    }
    if (left_out > 0)
        snprintf(text + used, size - used, " and %u more", left_out);
}

void announce_ready(unsigned ready)
{
    char addresses[512];
    const struct log_fact *facts = LOG_FACTS(LOG_NUMBER("workers", ready));

    list_addresses(addresses, sizeof addresses);
    if (runtime.workers > 0)
        log_event(LOG_LEVEL_NORMAL, LOG_READY, facts,
                  "%u of %u workers are ready%s; the control socket is %s", ready, runtime.workers,
                  addresses, broker.control_path);
    else
        log_event(LOG_LEVEL_NORMAL, LOG_READY, facts,
                  "ready for servers that join by SSHIM_BROKER=%s", broker.control_path);
    announce_ready_fd();
}
