/* aside.c - see aside.h. */
#include "broker/base/process/aside.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/base/process/helpers.h"
#include "broker/base/process/procfs.h"
#include "broker/base/process/signal.h"
#include "broker/base/turn.h"

#define PATIENCE_MS 20
#define LATE_MAX 8           /* helpers that were killed and have not ended; more are not started */
#define LATE_OF_USER_MAX 2   /* of them for processes of one user, who may keep them from ending */
#define KNOWN_MAX 256        /* processes that made one wait */
#define WAITS_MAX 16         /* in vain for processes of one user; then nothing is asked for */
#define SILENCE_MS 1000      /* this time, doubling up to */
#define SILENCE_MAX_MS 64000 /* also after how long a user is forgotten */
#define USERS_MAX 16

struct question {
    aside_work *work;
    size_t answer_size;
    alignas(max_align_t) char bytes[ASIDE_QUESTION_MAX];
};

struct answer {
    bool result;
    alignas(max_align_t) char bytes[ASIDE_ANSWER_MAX];
};

static pid_t helper; /* 0: none */
static int helper_fd = -1;
static pid_t late[LATE_MAX];     /* 0: none */
static uid_t late_for[LATE_MAX]; /* whose process each was asked about */

/* --- in the helper --- */

/* Few descriptors: the others would keep the broker's sockets open for as long as this hangs. */
static _Noreturn void help(int fd, pid_t broker_pid)
{
    static struct question question;
    static struct answer answer;

    helpers_enter("sshim-aside");
    fd = helpers_keep_one(fd);
    while (getppid() == broker_pid && recv(fd, &question, sizeof question, 0) > 0) {
        size_t size = offsetof(struct answer, bytes) + question.answer_size;
        answer.result = question.work(question.bytes, answer.bytes);
        if (send(fd, &answer, size, MSG_NOSIGNAL) < 0)
            break;
    }
    _exit(0);
}

/* --- in the broker --- */

/* For one more helper that is to be waited for; NULL: there are too many. */
static pid_t *find_place(void)
{
    for (int i = 0; i < LATE_MAX; i++)
        if (!late[i])
            return &late[i];
    return NULL;
}

static void end_helper(uid_t uid)
{
    pid_t *place = find_place(); /* start() has seen to it that there is one */

    if (!helper)
        return;
    signal_process(helper, SIGKILL);
    *place = helper;
    late_for[place - late] = uid;
    close(helper_fd);
    helper = 0;
    helper_fd = -1;
}

void aside_stop(void)
{
    end_helper((uid_t)-1);
    helpers_await(late, LATE_MAX);
}

static bool start(void)
{
    pid_t broker_pid = getpid();
    int ends[2];

    if (helper)
        return true;
    if (!find_place() || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return false;
    pid_t pid = helpers_fork(0);
    if (pid == 0)
        help(ends[1], broker_pid);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return false;
    }
    helper = pid;
    helper_fd = ends[0];
    return true;
}

bool aside_is_pid(pid_t pid)
{
    return pid == helper;
}

/* Whether an answer came. A tick of turn.h ends a poll: it begins again. On a busy machine the
 * helper waits for a processor: that is not to be called asleep. */
static bool await_answer(void)
{
    struct pollfd ready = {.fd = helper_fd, .events = POLLIN};
    int64_t end_ms = turn_read_ms() + PATIENCE_MS;

    for (;;) {
        int64_t left_ms = end_ms - turn_read_ms();
        if (poll(&ready, 1, left_ms > 0 ? (int)left_ms : 1) > 0)
            return true;
        if (left_ms <= 0 && !procfs_is_running(helper))
            return poll(&ready, 1, 0) > 0;
    }
}

/* False: it has ended, or it sleeps. */
static bool exchange(const struct question *question, struct answer *answer, bool *is_late)
{
    size_t size = offsetof(struct answer, bytes) + question->answer_size;

    *is_late = false;
    if (send(helper_fd, question, sizeof *question, MSG_NOSIGNAL) < 0)
        return false;
    *is_late = !await_answer();
    return !*is_late && recv(helper_fd, answer, size, MSG_DONTWAIT) == (ssize_t)size;
}

/* --- processes about which a question took too long, and their users --- */

static struct known {
    pid_t pid;
    uint32_t birth;
} known[KNOWN_MAX];

static struct user {
    uid_t uid;
    unsigned waits;
    int64_t silence_ms;
    int64_t until_ms; /* of the silence; 0: a free place */
} users[USERS_MAX];

static bool is_known(pid_t pid)
{
    for (int i = 0; i < KNOWN_MAX; i++)
        if (known[i].pid == pid && known[i].birth == procfs_birth(pid))
            return true;
    return false;
}

static struct user *find_user(uid_t uid)
{
    for (int i = 0; i < USERS_MAX; i++)
        if (users[i].uid == uid && users[i].until_ms + SILENCE_MAX_MS > turn_read_ms())
            return &users[i];
    return NULL;
}

/* In the place of the one that is quiet for the longest time. */
static struct user *add_user(uid_t uid)
{
    struct user *oldest = &users[0];

    for (int i = 0; i < USERS_MAX; i++)
        if (users[i].until_ms < oldest->until_ms)
            oldest = &users[i];
    *oldest = (struct user){uid, 0, SILENCE_MS, turn_read_ms()};
    return oldest;
}

/* Other processes of the user may be honest: only many waits make it silent. */
static void note_wait(pid_t pid, uid_t uid)
{
    static unsigned next;
    struct user *user = find_user(uid);

    known[next++ % KNOWN_MAX] = (struct known){pid, procfs_birth(pid)};
    if (!user)
        user = add_user(uid);
    if (++user->waits < WAITS_MAX)
        return;
    user->until_ms = turn_read_ms() + user->silence_ms;
    user->waits = 0;
    if (user->silence_ms < SILENCE_MAX_MS)
        user->silence_ms *= 2;
}

static bool is_silent(uid_t uid)
{
    const struct user *user = find_user(uid);

    return user && user->until_ms > turn_read_ms();
}

/* No signal ends a helper that waits for a mutex of the kernel. */
static bool keeps_helpers(uid_t uid)
{
    int count = 0;

    helpers_bury(late, LATE_MAX);
    for (int i = 0; i < LATE_MAX; i++)
        count += late[i] && late_for[i] == uid;
    return count >= LATE_OF_USER_MAX;
}

bool aside_ask(aside_work *work, pid_t pid, const void *question_bytes, size_t question_size,
               void *answer_bytes, size_t answer_size)
{
    static struct question question;
    static struct answer answer;
    bool is_late;
    uid_t uid = (uid_t)-1; /* that of a process which has two */

    if (geteuid() != 0 || (procfs_get_uid(pid, &uid) && uid == 0))
        return work(question_bytes, answer_bytes);
    if (question_size > sizeof question.bytes || answer_size > sizeof answer.bytes ||
        is_known(pid) || is_silent(uid) || keeps_helpers(uid) || !start())
        return false;
    question.work = work;
    question.answer_size = answer_size;
    memcpy(question.bytes, question_bytes, question_size);
    if (!exchange(&question, &answer, &is_late)) {
        end_helper(uid);
        if (is_late)
            note_wait(pid, uid);
        return false;
    }
    memcpy(answer_bytes, answer.bytes, answer_size);
    return answer.result;
}
