/* reopen.c - see reopen.h. */
#include "broker/operate/tell/reopen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/operate/tell/conn_log.h"

/* text: what was done. */
static bool reopen(const char *path, bool (*again)(void), char *text, size_t size)
{
    bool is_open = again();

    if (is_open)
        snprintf(text, size, "%.400s is open anew", path);
    else
        snprintf(text, size, "cannot open %.400s: %s; going on with the old file", path,
                 strerror(errno));
    log_event(is_open ? LOG_LEVEL_NORMAL : LOG_LEVEL_QUIET, LOG_LOG_REOPEN,
              LOG_FACTS(LOG_TEXT("file", path)), "%s", text);
    return is_open;
}

int reopen_logs(char *text, size_t size)
{
    const char *path = broker.config.log_file;
    const char *conn_path = conn_log_is_on() ? broker.config.conn_log : NULL;
    bool is_open = true;

    if (path)
        is_open = reopen(path, log_reopen, text, size);
    size_t used = path ? strlen(text) : 0;
    if (path && conn_path)
        used += (size_t)snprintf(text + used, size - used, "; ");
    if (conn_path)
        is_open &= reopen(conn_path, conn_log_reopen, text + used, size - used);
    if (path || conn_path)
        return is_open ? EXIT_STOPPED : 1;
    snprintf(text, size, "there is no log file to reopen: messages go to standard error");
    log_event(LOG_LEVEL_NORMAL, LOG_LOG_REOPEN, NULL, "%s", text);
    return EXIT_STOPPED;
}
