/* ask.c - see ask.h. */
#include "observe/ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_ROOM 16384

/* Until a newline, which ends a document and is nowhere else in it. */
static char *receive_line(int fd, size_t *len)
{
    size_t room = FIRST_ROOM;
    char *text = malloc(room);

    *len = 0;
    while (text) {
        ssize_t got = recv(fd, text + *len, room - *len, 0);
        if (got <= 0)
            break;
        *len += (size_t)got;
        if (text[*len - 1] == '\n')
            return text;
        if (*len < room)
            continue;
        room *= 2;
        char *more = realloc(text, room);
        if (!more)
            break;
        text = more;
    }
    free(text);
    return NULL;
}

int ask_connect(const char *control, int timeout_s)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = timeout_s};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", control);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, (const struct sockaddr *)&addr, sizeof addr) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

char *ask_status_text(int fd, size_t *len)
{
    static const char question[] = "status --json\n";

    if (send(fd, question, sizeof question - 1, MSG_NOSIGNAL) != (ssize_t)sizeof question - 1)
        return NULL;
    return receive_line(fd, len);
}
