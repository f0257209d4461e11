/*
 * victim_hold.c - for tests/hold.bats: a server that blocks for one client at a time, and a client
 * that goes by steps.
 *
 *   victim_hold server PORT           reads a line, or a request head, or to the end; answers with
 *                                     "pid=PID slot=SLOT read=HEXADECIMAL\n"
 *   victim_hold client PORT STEPS     steps between spaces:
 *     text:TEXT   sends it, with \r, \n, \s (a space) and \xHH in it
 *     end         says that no more comes
 *     file:PATH   waits until that file is there
 *     read        prints what comes until the end and how it ended, "fin" or "rst"
 *     reset       closes by RST
 */
#include <netinet/tcp.h>

#include "victim.h"

#define READ_MAX 70000
#define LOOK_US 10000

/* --- server --- */

static bool ends_with(const char *bytes, size_t len, const char *end)
{
    size_t end_len = strlen(end);
    return len >= end_len && memcmp(bytes + len - end_len, end, end_len) == 0;
}

static bool is_whole(const char *bytes, size_t len)
{
    bool is_http = memmem(bytes, len, "HTTP/", 5) != NULL;

    return ends_with(bytes, len, "\r\n\r\n") || ends_with(bytes, len, "\n\n") ||
           (!is_http && ends_with(bytes, len, "\n"));
}

static void tell_what_was_read(int fd)
{
    static char bytes[READ_MAX];
    static char text[2 * READ_MAX + 100];
    size_t len = 0;
    ssize_t got;

    while (len < sizeof bytes && !is_whole(bytes, len) &&
           (got = read(fd, bytes + len, sizeof bytes - len)) > 0)
        len += (size_t)got;
    int used = sprintf(text, "pid=%d slot=%s read=", (int)getpid(), slot_name());
    for (size_t i = 0; i < len; i++)
        used += sprintf(text + used, "%02x", (unsigned char)bytes[i]);
    text[used++] = '\n';
    send(fd, text, (size_t)used, MSG_NOSIGNAL);
    close(fd);
}

static void run_server(int port, const char *argument)
{
    int listener_fd = make_listener(port);

    (void)argument;
    puts("listening");
    fflush(stdout);
    for (;;)
        tell_what_was_read(MUST(accept(listener_fd, NULL, NULL)));
}

/* --- client --- */

static void send_text(int fd, const char *text)
{
    unsigned byte;

    for (; *text; text++) {
        char c = *text;
        if (c == '\\' && text[1] == 'x' && sscanf(text + 2, "%2x", &byte) == 1) {
            c = (char)byte;
            text += 3;
        } else if (c == '\\') {
            text++;
            c = *text == 'r' ? '\r' : *text == 'n' ? '\n' : ' ';
        }
        MUST(send(fd, &c, 1, MSG_NOSIGNAL));
    }
}

static void read_all(int fd)
{
    static char bytes[READ_MAX];
    ssize_t got;

    while ((got = read(fd, bytes, sizeof bytes)) > 0)
        fwrite(bytes, 1, (size_t)got, stdout);
    puts(got == 0 ? "fin" : "rst");
    fflush(stdout);
}

static void reset(int fd)
{
    struct linger linger = {.l_onoff = 1};

    MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
    close(fd);
}

static void step(int fd, const char *what)
{
    if (strncmp(what, "text:", 5) == 0)
        send_text(fd, what + 5);
    else if (strcmp(what, "end") == 0)
        MUST(shutdown(fd, SHUT_WR));
    else if (strncmp(what, "file:", 5) == 0)
        while (access(what + 5, F_OK) < 0)
            usleep(LOOK_US);
    else if (strcmp(what, "read") == 0)
        read_all(fd);
    else if (strcmp(what, "reset") == 0)
        reset(fd);
    else
        CHECK(!"a step");
}

static void run_client(int port, const char *argument)
{
    struct sockaddr_in addr = loopback(port);
    int one = 1;
    int fd = make_socket();
    char *steps = strdup(argument ? argument : "");

    MUST(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one)); /* a segment for each byte */
    MUST(connect(fd, (struct sockaddr *)&addr, sizeof addr));
    for (char *what = strtok(steps, " "); what; what = strtok(NULL, " "))
        step(fd, what);
}

static const struct victim_mode modes[] = {
    {"server", run_server},
    {"client", run_client},
};

int main(int argc, char **argv)
{
    CHECK(argc >= 3);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(modes[i].name, argv[1]) == 0)
            modes[i].run(atoi(argv[2]), argc > 3 ? argv[3] : NULL);
    return 0;
}
