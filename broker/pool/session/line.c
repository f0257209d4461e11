/* line.c - see line.h. */
#include "broker/pool/session/line.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Whether the line ends in what has come; cuts it there. */
static int ends(struct line *line)
{
    char *end = memchr(line->text, '\n', line->len_bytes);

    if (!end)
        return 0;
    if (end > line->text && end[-1] == '\r')
        end--;
    *end = '\0';
    return 1;
}

enum line_state line_receive(struct line *line, int fd, int flags)
{
    size_t room = sizeof line->text - 1 - line->len_bytes;
    ssize_t got = recv(fd, line->text + line->len_bytes, room, flags | MSG_DONTWAIT);

    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? LINE_PART : LINE_NONE;
    line->len_bytes += (size_t)got;
    line->text[line->len_bytes] = '\0';
    if (line->len_bytes == 0)
        return LINE_NONE;
    if (ends(line) || got == 0 || (flags & MSG_PEEK))
        return LINE_WHOLE;
    return line->len_bytes == sizeof line->text - 1 ? LINE_LONG : LINE_PART;
}
