/* follow.c - see follow.h. */
#include "broker/cli/follow.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/base/log.h"
#include "broker/cli/broker_socket.h"
#include "broker/cli/client.h"
#include "broker/cli/instances.h"
#include "broker/cli/options/target_options.h"
#include "proto/fdpass.h"

#define AGAIN_MS 50
#define TRIES_MAX 100

/* The number of the last line in this text: where the next broker is to go on. */
static unsigned last_number(const char *text, unsigned before)
{
    static const char field[] = "\"seq\":";

    for (const char *at = text; (at = strstr(at, field)) != NULL; at += sizeof field)
        before = (unsigned)strtoul(at + sizeof field - 1, NULL, 10);
    return before;
}

static bool ask(int fd, const struct config_target *target)
{
    struct wire_command command = {.head = WIRE_HEAD(WIRE_COMMAND), .code = WIRE_COMMAND_LINE};

    target_options_format(target, command.line, sizeof command.line);
    return fdpass_send(fd, &command, WIRE_COMMAND_MIN + strlen(command.line), -1, 0) == 0;
}

/* Lines of events are JSON documents; any other answer says why there are none. */
static void print(struct config_target *target, const char *text, size_t len)
{
    if (*text != '{') {
        log_error("%.*s", (int)strcspn(text, "\n"), text);
        return;
    }
    target->after = last_number(text, target->after);
    fwrite(text, 1, len, stdout);
    fflush(stdout);
}

/* -1: the connection has ended without a result. */
static int receive(int fd, struct config_target *target)
{
    union {
        struct wire_head head;
        struct wire_text text;
        struct wire_result result;
        char bytes[WIRE_MESSAGE_MAX + 1];
    } message;
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    int passed_fd;

    for (;;) {
        poll(&readable, 1, -1); /* nothing may happen for days */
        ssize_t got =
            fdpass_recv(fd, &message, WIRE_MESSAGE_MAX, &passed_fd, MSG_CMSG_CLOEXEC, NULL);
        if (passed_fd >= 0)
            close(passed_fd);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got <= 0)
            return -1;
        message.bytes[got] = '\0';
        switch (wire_check(&message, (size_t)got, false)) {
        case WIRE_TEXT: print(target, message.text.text, (size_t)got - WIRE_TEXT_MIN); break;
        case WIRE_RESULT: return message.result.exit_code;
        default: return -1;
        }
    }
}

int follow_run(struct config_target *target)
{
    char path[INSTANCES_PATH_MAX];
    int exit_code = -1;

    if (!target->follow)
        return client_run(target, WIRE_COMMAND_LINE);
    if (!instances_resolve(target, path))
        return 1;
    int fd = broker_socket_connect(path);
    if (fd < 0) {
        log_error("cannot reach a broker at %s: %s; 'sshim list' shows what runs", path,
                  strerror(errno));
        return 1;
    }
    for (int tries = 0; exit_code < 0 && tries < TRIES_MAX; tries++) {
        unsigned before = target->after;
        if (fd >= 0 && ask(fd, target))
            exit_code = receive(fd, target);
        if (fd >= 0)
            close(fd);
        if (target->after != before)
            tries = 0;
        if (exit_code >= 0 || broker_socket_probe(path) == 0)
            break;
        usleep(AGAIN_MS * 1000);
        fd = broker_socket_connect(path);
    }
    return exit_code < 0 ? EXIT_STOPPED : exit_code; /* the instance has stopped */
}
