/*
 * fuzz_control.c - the link of an operator, from both ends. The first byte chooses: what a broker
 * is told by up to four peers at a time, what a client is answered, what `sshim run` is given by
 * the broker whose place it takes, and the snapshot in that broker's journal. Whatever they say, no
 * fd is left and nobody waits for ever.
 *
 * The rest of the input is records: a byte for the peer and what it does, one for the length, the
 * bytes. The commands themselves are played here (-Wl,--wrap): nothing is started, executed or
 * ended.
 */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/share/adopt.h"
#include "broker/base/broker.h"
#include "broker/cli/client.h"
#include "broker/handout/handout.h"
#include "broker/life/slot.h"
#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/base/loop.h"
#include "broker/base/process/deputy.h"
#include "broker/life/restart.h"
#include "broker/operate/control.h"
#include "broker/operate/request.h"
#include "broker/pool/session/session.h"
#include "broker/share/retire.h"
#include "broker/survive/resume.h"
#include "broker/survive/snapshot.h"
#include "broker/operate/takeover.h"
#include "broker/operate/rehearsal.h"
#include "broker/operate/upgrade.h"
#include "broker/survive/state_load.h"
#include "fuzz.h"
#include "proto/fdpass.h"

#define PEERS 4
#define FDS_MAX 64
#define RECORDS_MAX 48
#define TURNS_MAX 500

enum action { SAY, COMMAND, TURN, HANG_UP, READ, READY, FAIL, TRIAL_ENDS, ACTIONS };

struct input {
    const uint8_t *bytes;
    size_t len;
};

struct record {
    unsigned peer;
    enum action action;
    bool with_fd;
    uint8_t bytes[WIRE_MESSAGE_MAX + 1];
    size_t len;
};

static struct sockaddr_un rendezvous;
static socklen_t rendezvous_len;
static int peers[PEERS];
static int null_fd;
static int answers_fd = -1; /* what the next connect() is to reach */

/* --- played instead of done */

void __wrap_stop_begin(int code);
void __wrap_stop_announce(int code);
struct worker *__wrap_slot_start_worker(struct slot *slot);
pid_t __wrap_deputy_fork(enum deputy_errand errand, const void *bytes, size_t size);
int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len);
int __real_connect(int fd, const struct sockaddr *addr, socklen_t len);

void __wrap_stop_begin(int code)
{
    (void)code;
}

void __wrap_stop_announce(int code)
{
    (void)code;
}

/* A worker without a process. */
struct worker *__wrap_slot_start_worker(struct slot *slot)
{
    struct worker *worker = worker_create(slot->id);

    if (worker)
        worker->generation = slot_generation();
    return worker;
}

/* The trial of an upgrade: a process that does not exist. */
pid_t __wrap_deputy_fork(enum deputy_errand errand, const void *bytes, size_t size)
{
    (void)bytes, (void)size;
    MUST(errand == DEPUTY_REHEARSAL);
    return INT_MAX;
}

int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    if (answers_fd < 0)
        return __real_connect(fd, addr, len);
    int result = dup2(answers_fd, fd) < 0 ? -1 : 0;
    close(answers_fd);
    answers_fd = -1;
    return result;
}

/* --- the loop, turn by turn */

static void on_turn_over(struct loop_timer *timer)
{
    (void)timer;
}

static void turn(void)
{
    static struct loop_timer timer = {.on_time = on_turn_over};

    loop_start_timer(&timer, 0); /* nothing is waited for */
    loop_turn();
}

static int count_fds(void)
{
    struct pollfd fds[FDS_MAX];
    int count = 0;

    for (int i = 0; i < FDS_MAX; i++)
        fds[i] = (struct pollfd){.fd = i};
    poll(fds, FDS_MAX, 0);
    for (int i = 0; i < FDS_MAX; i++)
        count += !(fds[i].revents & POLLNVAL);
    return count;
}

/* --- one broker for all inputs */

static void open_rendezvous(void)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un any = {.sun_family = AF_UNIX};

    rendezvous_len = sizeof rendezvous;
    MUST(bind(fd, (struct sockaddr *)&any, sizeof any.sun_family) == 0);
    MUST(getsockname(fd, (struct sockaddr *)&rendezvous, &rendezvous_len) == 0);
    listener_init(handout_init, handout_finish, retire_on_time);
    session_init(request_handle, control_handle_text);
    MUST(listen(fd, 64) == 0 && session_listen(DOOR_LINK, fd) == 0);
}

static void begin(void)
{
    static char program[] = "sshim", *arguments[] = {program, NULL};

    resume_set_arguments(arguments);
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null_fd, STDOUT_FILENO);
    signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_LEVEL_QUIET);
    broker.uid = geteuid();
    strcpy(broker.name, "fuzz");
    broker.config.workers = 2;
    runtime.workers = 2;
    broker.config.unshared.at[0] = "all"; /* nothing that is claimed is bound */
    broker.config.unshared.count = 1;
    MUST(loop_init() == 0 && journal_init() == 0);
    adopt_slot(1, 0, 0, 0);
    MUST(adopt_joiner(getpid(), (uint8_t[WIRE_TOKEN_SIZE]){0}) !=
         NULL); /* or the first claim would leave a pidfd */
    for (int i = 0; i < PEERS; i++)
        peers[i] = -1;
    open_rendezvous();
}

/* --- the input */

static bool next_record(struct input *input, struct record *record)
{
    if (input->len < 2)
        return false;
    record->peer = input->bytes[0] & 3;
    record->action = (enum action)((input->bytes[0] >> 2) % ACTIONS);
    record->with_fd = input->bytes[0] & 0x80;
    record->len = input->bytes[1];
    input->bytes += 2;
    input->len -= 2;
    if (record->len > input->len)
        record->len = input->len;
    memcpy(record->bytes, input->bytes, record->len);
    input->bytes += record->len;
    input->len -= record->len;
    if (record->len == 255 && record->with_fd) { /* longer than any message */
        memset(record->bytes + 255, 'x', sizeof record->bytes - 255);
        record->len = sizeof record->bytes;
    }
    return true;
}

static void hang_up(int *peer_fd)
{
    if (*peer_fd >= 0)
        close(*peer_fd);
    *peer_fd = -1;
}

static int peer(unsigned number)
{
    if (peers[number] >= 0)
        return peers[number];
    peers[number] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    MUST(connect(peers[number], (struct sockaddr *)&rendezvous, rendezvous_len) == 0);
    return peers[number];
}

/* A broker answers with messages that it may send, and passes no fd. */
static void read_answers(int peer_fd)
{
    char bytes[WIRE_MESSAGE_MAX];
    ssize_t got;
    int fd;

    while (peer_fd >= 0 && (got = fdpass_recv(peer_fd, bytes, sizeof bytes, &fd, 0, NULL)) > 0) {
        int type = wire_check(bytes, (size_t)got, fd >= 0);
        MUST(fd < 0 && (type == WIRE_TEXT || type == WIRE_RESULT || type == WIRE_GRANT));
    }
}

static void command(const struct record *record)
{
    struct wire_command message = {.head = WIRE_HEAD(WIRE_COMMAND)};
    size_t room = sizeof message - sizeof message.head;

    memcpy(&message.code, record->bytes, record->len < room ? record->len : room);
    message.code %= 8;
    fdpass_send(peer(record->peer), &message, sizeof message, -1, MSG_DONTWAIT);
}

static void successor_ends(bool well)
{
    struct slot *slot = slot_at(0);
    struct worker *successor = slot->successor;

    if (!successor)
        return;
    slot->successor = NULL;
    if (well) {
        if (slot->worker)
            worker_bury(slot->worker);
        slot->worker = successor;
        slot_mark_ready(slot, successor);
        return;
    }
    struct worker last = *successor;
    worker_bury(successor);
    restart_on_failure(&last, "failed");
}

static void trial_ends(void)
{
    siginfo_t info = {.si_code = CLD_EXITED};

    info.si_pid = INT_MAX;
    info.si_status = 1;
    rehearsal_on_child_end(&info);
}

static void act(const struct record *record)
{
    switch (record->action) {
    case SAY:
        fdpass_send(peer(record->peer), record->bytes, record->len, record->with_fd ? null_fd : -1,
                    MSG_DONTWAIT);
        break;
    case COMMAND: command(record); break;
    case HANG_UP: hang_up(&peers[record->peer]); break;
    case READ: read_answers(peers[record->peer]); break;
    case READY: successor_ends(true); break;
    case FAIL: successor_ends(false); break;
    case TRIAL_ENDS: trial_ends(); break;
    default: turn(); break;
    }
}

static void play_peers(struct input *input)
{
    struct record record;
    int fds = count_fds();

    for (int i = 0; i < RECORDS_MAX && next_record(input, &record); i++)
        act(&record);
    for (int i = 0; i < PEERS; i++)
        hang_up(&peers[i]);
    for (int i = 0; i < TURNS_MAX && (count_fds() != fds || i < PEERS); i++)
        turn();
    MUST(count_fds() == fds);
    trial_ends();
    while (slot_at(0)->successor)
        successor_ends(false);
}

/* What somebody at the control path would answer, all of it in advance. */
static void fill_answers(struct input *input)
{
    struct record record;
    int pair[2];

    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    for (int i = 0; i < RECORDS_MAX && next_record(input, &record); i++)
        fdpass_send(pair[1], record.bytes, record.len, record.with_fd ? null_fd : -1, MSG_DONTWAIT);
    shutdown(pair[1], SHUT_WR);
    answers_fd = pair[0];
    peers[0] = pair[1]; /* open, or the question could not even be asked */
}

static void play_answers(struct input *input, int which)
{
    static const enum wire_command_code codes[] = {WIRE_COMMAND_STATUS, WIRE_COMMAND_STOP,
                                                   WIRE_COMMAND_UPGRADE};
    static const char *const names[] = {"status", "stop", "upgrade", ""};
    struct config_target target = {.command = names[which], .control = "/fuzz.sock"};
    int fds = count_fds();

    fill_answers(input);
    if (which < 3)
        client_run(&target, codes[which]);
    else
        MUST(!takeover_receive("/fuzz.sock"));
    hang_up(&peers[0]);
    MUST(count_fds() == fds);
}

static void note_fd(int fd, void *context)
{
    *(int *)context ^= fd;
}

/* A snapshot that is not sound names no fd at all. */
static void play_snapshot(const struct input *input)
{
    size_t size;
    int sum = 0;

    memcpy(journal_snapshot_room(&size), input->bytes, input->len);
    journal_publish_snapshot(input->len, SNAPSHOT_FORMAT);
    state_each_fd(note_fd, &sum);
    journal_publish_snapshot(0, SNAPSHOT_FORMAT);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static bool begun;
    struct input input = {bytes + 1, len - 1};

    if (len == 0)
        return 0;
    if (!begun)
        begin();
    begun = true;
    if (bytes[0] & 8)
        play_snapshot(&input);
    else if (bytes[0] & 4)
        play_answers(&input, bytes[0] & 3);
    else
        play_peers(&input);
    return 0;
}
