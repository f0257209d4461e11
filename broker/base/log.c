/* log.c - formats a line and writes it if stderr takes it at once. */
#include "broker/base/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

static const char *log_name = "sshim";
static enum log_level log_level = LOG_LEVEL_NORMAL;
static unsigned long dropped;

void log_init(const char *name, enum log_level level)
{
    log_name = name;
    log_level = level;
}

/* A pipe that polls writable takes PIPE_BUF bytes without blocking (pipe(7)); stderr is shared, so
 * no O_NONBLOCK. */
static bool is_writable(void)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) == 1 && (out.revents & POLLOUT);
}

static void write_line(const char *format, va_list arguments)
{
    char line[PIPE_BUF / 4];
    int saved = errno;

    if (!is_writable()) {
        dropped++;
        errno = saved;
        return;
    }
    int used = snprintf(line, sizeof line, "%s: ", log_name);
    if (dropped)
        used += snprintf(line + used, sizeof line - (size_t)used, "(%lu lines lost) ", dropped);
    dropped = 0;
    used += vsnprintf(line + used, sizeof line - (size_t)used, format, arguments);
    if (used >= (int)sizeof line)
        used = (int)sizeof line - 1;
    line[used++] = '\n';
    if (write(STDERR_FILENO, line, (size_t)used) < 0)
        dropped++;
    errno = saved;
}

#define WRITE_LINE(format)                                                                         \
    do {                                                                                           \
        va_list arguments;                                                                         \
        va_start(arguments, format);                                                               \
        write_line(format, arguments);                                                             \
        va_end(arguments);                                                                         \
    } while (0)

void log_error(const char *format, ...)
{
    WRITE_LINE(format);
}

void log_info(const char *format, ...)
{
    if (log_level >= LOG_LEVEL_NORMAL)
        WRITE_LINE(format);
}

void log_debug(const char *format, ...)
{
    if (log_level >= LOG_LEVEL_VERBOSE)
        WRITE_LINE(format);
}
