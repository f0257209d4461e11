/*
 * fuzz_notify.c - notified calls of a worker, from the record of the kernel to the answer: any
 * number, architecture and argument, over any memory and any kind of descriptor. Each call gets one
 * answer, or is put off, no fd is left, and the filter notifies what the broker knows, and nothing
 * else.
 *
 * Input: four bytes that choose (what there is, the descriptor, the verdict, an errno), struct
 * seccomp_data, the caller's memory. The process and the claim are played here (-Wl,--wrap).
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/net.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/base/log.h"
#include "broker/base/loop.h"
#include "broker/pool/channel.h"
#include "broker/pool/listener.h"
#include "broker/share/claim/bind.h"
#include "broker/share/grant.h"
#include "broker/share/intercept/answer.h"
#include "broker/share/intercept/filter.h"
#include "broker/share/intercept/socket_file.h"
#include "fuzz.h"

enum { NO_WORKER = 1, NO_PROCESS = 2, NOT_VALID = 4, AGAIN = 8, NO_CHANNEL = 16, REFUSED = 32 };
enum { CHOICE, DESCRIPTOR, VERDICT, ERROR, CHOICES };
enum { SETTLES = 64, LOOKS = 128 }; /* of VERDICT */

static uint8_t choices[CHOICES];
static const uint8_t *memory;
static size_t memory_len;
static unsigned answers;

static struct worker worker = {.channels = LIST_HEAD_INITIALIZER(worker.channels)};
static struct listener listener;
static struct channel channel = {.listener = &listener, .worker = &worker};
static int kinds[8];

/* --- the filter: what the kernel would do with its program */

static struct sock_filter program[512];
static unsigned program_len;

long __wrap_syscall(long number, ...);

long __wrap_syscall(long number, ...)
{
    const struct sock_fprog *filter;
    va_list list;

    MUST(number == SYS_seccomp);
    va_start(list, number);
    MUST(va_arg(list, int) == SECCOMP_SET_MODE_FILTER);
    (void)va_arg(list, unsigned long);
    filter = va_arg(list, const struct sock_fprog *);
    va_end(list);
    program_len = filter->len;
    memcpy(program, filter->filter, program_len * sizeof program[0]);
    errno = EINVAL;
    return -1;
}

static uint32_t run_filter(const struct seccomp_data *data)
{
    uint32_t loaded = 0;

    for (unsigned at = 0; at < program_len; at++) {
        const struct sock_filter *step = &program[at];
        switch (step->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            MUST(step->k + sizeof loaded <= sizeof *data);
            memcpy(&loaded, (const uint8_t *)data + step->k, sizeof loaded);
            break;
        case BPF_ALU | BPF_AND | BPF_K: loaded &= step->k; break;
        case BPF_JMP | BPF_JEQ | BPF_K: at += loaded == step->k ? step->jt : step->jf; break;
        case BPF_RET | BPF_K: return step->k;
        default: abort();
        }
    }
    abort(); /* it ended without a verdict */
}

static uint32_t expected_verdict(const struct seccomp_data *data)
{
    uint32_t first = (uint32_t)data->args[0];

    switch (filter_call_of(data)) {
    case FILTER_NONE: return SECCOMP_RET_ALLOW;
    case FILTER_IO_URING: return SECCOMP_RET_ERRNO | ENOSYS;
    case FILTER_SOCKETCALL:
        return first == SYS_BIND || first == SYS_LISTEN ? SECCOMP_RET_USER_NOTIF
                                                        : SECCOMP_RET_ALLOW;
    default: return SECCOMP_RET_USER_NOTIF;
    }
}

/* --- the calling process, instead of notify.c */

struct worker *__wrap_notify_worker(const struct notify *notify);
bool __wrap_notify_is_valid(const struct notify *notify);
pid_t __wrap_notify_process(const struct notify *notify);
int __wrap_notify_fetch_fd(const struct notify *notify, int number);
int __wrap_notify_install_fd(const struct notify *notify, int fd, int number);
int __wrap_notify_peek(struct notify *notify, uint64_t address, size_t len, peek_done *on_done);
void __wrap_notify_continue(struct notify *notify);
void __wrap_notify_answer(struct notify *notify, int error);
void __wrap_notify_retry(struct notify *notify);
void __wrap_notify_settle(struct notify *notify);

struct worker *__wrap_notify_worker(const struct notify *notify)
{
    (void)notify;
    return choices[CHOICE] & NO_WORKER ? NULL : &worker;
}

bool __wrap_notify_is_valid(const struct notify *notify)
{
    (void)notify;
    return !(choices[CHOICE] & NOT_VALID);
}

pid_t __wrap_notify_process(const struct notify *notify)
{
    (void)notify;
    return choices[CHOICE] & NO_PROCESS ? 0 : getpid();
}

int __wrap_notify_fetch_fd(const struct notify *notify, int number)
{
    MUST(number == (int)(uint32_t)notify->args[0]);
    errno = choices[DESCRIPTOR] & 8 ? EPERM : EBADF;
    return dup(kinds[choices[DESCRIPTOR] % 8]);
}

/* Nothing but the canonical socket ever gets into a worker, and only over the number it named. */
int __wrap_notify_install_fd(const struct notify *notify, int fd, int number)
{
    MUST(fd == listener.canonical_fd && number == (int)(uint32_t)notify->args[0]);
    errno = choices[ERROR] & 1 ? EINTR : ENOENT;
    return choices[CHOICE] & REFUSED ? -1 : 0;
}

int __wrap_notify_peek(struct notify *notify, uint64_t address, size_t len, peek_done *on_done)
{
    (void)address;
    MUST(len > 0 && len <= PEEK_MAX);
    if (len > memory_len)
        len = memory_len;
    memcpy(notify->peek.bytes, memory, len);
    memory += len;
    memory_len -= len;
    on_done(&notify->peek, len ? (ssize_t)len : -1);
    return 0;
}

void __wrap_notify_continue(struct notify *notify)
{
    (void)notify;
    answers++;
}

void __wrap_notify_answer(struct notify *notify, int error)
{
    (void)notify;
    MUST(error >= 0 && error < 4096);
    answers++;
}

void __wrap_notify_retry(struct notify *notify)
{
    (void)notify;
    answers++;
}

void __wrap_notify_settle(struct notify *notify)
{
    (void)notify;
    answers++;
}

/* --- the claim, instead of bind.c, grant.c and what frees */

struct bind_verdict __wrap_bind_name(struct worker *by, const struct bind_how *how,
                                     const struct address *address, int fd);
struct bind_verdict __wrap_bind_file(struct worker *by, pid_t asker, const struct address *address,
                                     uint64_t view);
struct listener *__wrap_bind_listening_file(struct worker *by, pid_t asker,
                                            const struct address *address, uint64_t view, int fd);
struct channel *__wrap_grant_open(struct listener *of, struct worker *by, pid_t asker,
                                  int *worker_fd);
void __wrap_bind_give_up_unused(struct worker *by, const struct address *address);
void __wrap_worker_close_channel(struct channel *closed);
void __wrap_worker_uncount_port_zero(struct worker *by);
void __wrap_channel_messages_on_listen(struct channel *listening, int backlog);
void __wrap_closer_close(int fd);

static void check_address(const struct address *address)
{
    char text[ADDRESS_TEXT_MAX];

    MUST(address->len >= sizeof(sa_family_t) && address->len <= sizeof address->storage);
    address_format(address, text);
    MUST(memchr(text, '\0', sizeof text));
}

static struct bind_verdict play_verdict(void)
{
    struct bind_verdict verdict = {.error = choices[ERROR], .listener = &listener};
    static const enum wire_verdict verdicts[] = {WIRE_PRIVATE, WIRE_FAILED, WIRE_SHARED,
                                                 WIRE_VACANT};

    verdict.verdict = verdicts[choices[VERDICT] % 4];
    return verdict;
}

struct bind_verdict __wrap_bind_name(struct worker *by, const struct bind_how *how,
                                     const struct address *address, int fd)
{
    struct bind_verdict verdict = play_verdict();

    MUST(by == &worker && how->asker->pid > 0 && fd >= 0 && !address_is_path(address));
    check_address(address);
    if (how->may_settle && choices[VERDICT] & (SETTLES | LOOKS)) /* the caller keeps fd */
        return (struct bind_verdict){.settles = choices[VERDICT] & SETTLES,
                                     .looks = !(choices[VERDICT] & SETTLES)};
    if (verdict.verdict == WIRE_VACANT) /* of paths alone */
        verdict.verdict = WIRE_PRIVATE;
    close(fd);
    return verdict;
}

struct bind_verdict __wrap_bind_file(struct worker *by, pid_t asker, const struct address *address,
                                     uint64_t view)
{
    MUST(by == &worker && asker > 0 && view && address_is_path(address));
    check_address(address);
    return play_verdict();
}

struct listener *__wrap_bind_listening_file(struct worker *by, pid_t asker,
                                            const struct address *address, uint64_t view, int fd)
{
    MUST(by == &worker && asker > 0 && view && fd >= 0);
    check_address(address);
    return choices[VERDICT] & 4 ? &listener : NULL;
}

struct channel *__wrap_grant_open(struct listener *of, struct worker *by, pid_t asker,
                                  int *worker_fd)
{
    MUST(of == &listener && by == &worker && asker > 0);
    if (choices[VERDICT] & 8)
        return NULL;
    *worker_fd = dup(kinds[0]);
    return &channel;
}

void __wrap_bind_give_up_unused(struct worker *by, const struct address *address)
{
    MUST(by == &worker && address->len);
}

void __wrap_worker_close_channel(struct channel *closed)
{
    MUST(closed == &channel);
}

void __wrap_worker_uncount_port_zero(struct worker *by)
{
    MUST(by == &worker);
}

void __wrap_channel_messages_on_listen(struct channel *listening, int backlog)
{
    (void)backlog;
    MUST(listening == &channel);
}

void __wrap_closer_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* --- one call */

static void begin(void)
{
    struct sockaddr_un abstract = {.sun_family = AF_UNIX};

    log_set_level(LOG_LEVEL_QUIET);
    MUST(loop_init() == 0);
    filter_install(); /* into program */
    MUST(program_len > 0 && program_len < sizeof program / sizeof program[0]);
    kinds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    kinds[1] = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    kinds[2] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    kinds[3] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    kinds[4] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    kinds[5] = epoll_create1(EPOLL_CLOEXEC);
    kinds[6] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    kinds[7] = -1;
    MUST(bind(kinds[3], (struct sockaddr *)&abstract, sizeof abstract.sun_family) == 0);
    listener.canonical_fd = kinds[6];
}

static int lowest_free_fd(void)
{
    int fd = dup(kinds[0]);

    close(fd);
    return fd;
}

static void offer_channel(bool is_there)
{
    LIST_INIT(&worker.channels);
    if (is_there)
        LIST_INSERT_HEAD(&worker.channels, &channel, of_worker);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static bool begun;
    struct seccomp_notif request = {.id = 1, .pid = (uint32_t)getpid()};
    struct notify notify = {.request = &request};

    if (!begun)
        begin();
    begun = true;
    if (len < CHOICES + sizeof request.data)
        return 0;
    memcpy(choices, bytes, CHOICES);
    memcpy(&request.data, bytes + CHOICES, sizeof request.data);
    memory = bytes + CHOICES + sizeof request.data;
    memory_len = len - CHOICES - sizeof request.data;
    notify.again = choices[CHOICE] & AGAIN;
    offer_channel(!(choices[CHOICE] & NO_CHANNEL));
    MUST(run_filter(&request.data) == expected_verdict(&request.data));
    answers = 0;
    int free_fd = lowest_free_fd();
    answer_call(&notify);
    MUST(answers == 1);
    MUST(lowest_free_fd() == free_fd);
    return 0;
}
