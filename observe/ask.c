/* ask.c - see ask.h. */
#include "observe/ask.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

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

char *ask_status_text(int fd, size_t *len)
{
    static const char question[] = "status --json\n";

    if (send(fd, question, sizeof question - 1, MSG_NOSIGNAL) != (ssize_t)sizeof question - 1)
        return NULL;
    return receive_line(fd, len);
}
