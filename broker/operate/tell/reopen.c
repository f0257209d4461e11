/* reopen.c - see reopen.h. */
#include "broker/operate/tell/reopen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"

int reopen_logs(char *text, size_t size)
{
    const char *path = broker.config.log_file;
    bool is_open = log_reopen();

    if (!path)
        snprintf(text, size, "there is no log file to reopen: messages go to standard error");
    else if (is_open)
        snprintf(text, size, "%.400s is open anew", path);
    else
        snprintf(text, size, "cannot open %.400s: %s; going on with the old file", path,
                 strerror(errno));
    log_event(is_open ? LOG_LEVEL_NORMAL : LOG_LEVEL_QUIET, LOG_LOG_REOPEN,
              path ? LOG_FACTS(LOG_TEXT("file", path)) : NULL, "%s", text);
    return is_open ? EXIT_STOPPED : 1;
}
