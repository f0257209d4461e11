/* takeover.c - see takeover.h. The journal, then each fd with its old number, then the result. */
#include "broker/operate/takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/base/process/deputy.h"
#include "broker/cli/broker_socket.h"
#include "broker/life/stop.h"
#include "broker/pool/listener.h"
#include "broker/survive/keeper.h"
#include "broker/survive/resume.h"
#include "broker/survive/snapshot.h"
#include "broker/survive/state_load.h"
#include "broker/survive/state_save.h"
#include "proto/fdpass.h"

#define DEADLINE_S 5

/* --- the old broker --- */

struct giving {
    int socket_fd;
    bool failed;
};

static void give_fd(int fd, void *context)
{
    struct giving *giving = context;
    struct wire_fd_transfer message = {.head = WIRE_HEAD(WIRE_FD_TRANSFER), .number = fd};

    if (!giving->failed && fdpass_send(giving->socket_fd, &message, sizeof message, fd, 0) < 0)
        giving->failed = true;
}

static void make_blocking(int socket_fd)
{
    struct timeval deadline = {.tv_sec = DEADLINE_S};

    fcntl(socket_fd, F_SETFL, fcntl(socket_fd, F_GETFL) & ~O_NONBLOCK);
    setsockopt(socket_fd, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof deadline);
}

static bool give_all(int socket_fd)
{
    struct giving giving = {.socket_fd = socket_fd};
    struct wire_fd_transfer journal = {.head = WIRE_HEAD(WIRE_FD_TRANSFER), .number = journal_fd()};
    struct wire_result result = {.head = WIRE_HEAD(WIRE_RESULT), .exit_code = 0};

    make_blocking(socket_fd);
    if (fdpass_send(socket_fd, &journal, sizeof journal, journal_fd(), 0) < 0)
        return false;
    state_each_fd(give_fd, &giving);
    return !giving.failed && fdpass_send(socket_fd, &result, sizeof result, -1, 0) == 0;
}

bool takeover_give(struct session *session, uint32_t format)
{
    if (format < SNAPSHOT_FORMAT || !resume_was_keeper() || stop_is_under_way() ||
        listener_any_holds())
        return false;
    state_save();
    keeper_stop();
    deputy_end(); /* it shares the descriptors as well */
    if (give_all(session->watch.fd))
        _exit(0); /* all of it belongs to the other one now */
    log_error("cannot hand over to another broker: %s; going on", strerror(errno));
    keeper_start();
    return false;
}

/* --- the new broker --- */

/* Another user may listen at the path: only descriptors of root or our own user are trusted. */
static bool is_trusted(int socket_fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;

    return getsockopt(socket_fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

static bool ask(int socket_fd)
{
    struct wire_command command = {.head = WIRE_HEAD(WIRE_COMMAND),
                                   .code = WIRE_COMMAND_TAKEOVER,
                                   .argument = SNAPSHOT_FORMAT};

    return fdpass_send(socket_fd, &command, WIRE_COMMAND_MIN, -1, 0) == 0;
}

/* The journal, the others, the result. Whether all of it came; what came is in *journal and mapped.
 */
static bool receive_all(int socket_fd, int *journal)
{
    union {
        struct wire_head head;
        struct wire_text text;
        struct wire_fd_transfer transfer;
    } message;
    int type;

    do {
        int fd;
        ssize_t got = fdpass_recv(socket_fd, &message, sizeof message, &fd, MSG_CMSG_CLOEXEC, NULL);
        type = got > 0 ? wire_check(&message, (size_t)got, fd >= 0) : -1;
        if (type == WIRE_FD_TRANSFER && *journal < 0)
            *journal = fd;
        else if (type == WIRE_FD_TRANSFER)
            resume_map_fd(message.transfer.number, fd);
        else if (fd >= 0)
            close(fd);
    } while (type > 0 && type != WIRE_RESULT);
    return type == WIRE_RESULT && *journal >= 0;
}

bool takeover_receive(const char *control_path)
{
    int socket_fd = broker_socket_connect(control_path);
    int journal = -1;

    if (socket_fd < 0)
        return false;
    bool done = is_trusted(socket_fd) && ask(socket_fd) && receive_all(socket_fd, &journal) &&
                journal_adopt(journal) == 0;
    close(socket_fd);
    if (done)
        return true;
    if (journal >= 0)
        close(journal);
    resume_forget_fds();
    return false;
}
