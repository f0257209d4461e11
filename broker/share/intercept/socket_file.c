/* socket_file.c - see socket_file.h. */
#include "broker/share/intercept/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "broker/pool/listener.h"
#include "broker/pool/worker.h"

#define PATH_OFFSET offsetof(struct sockaddr_un, sun_path)
#define RESERVED_MAX 64
#define REMOVING_MS                                                                                \
    200 /* from unlink to the end of what the kernel does, and the bind that follows */
#define BINDING_MS 2000 /* from bind to listen */
#define YOUNG_MS 2000   /* a worker is ready with its first listener */

/* --- what a name means --- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * UINT64_C(0x100000001b3); /* FNV-1a, by words */
}

/* What the kernel knows: the server of a network file system may be dead. */
static uint64_t mix_place(uint64_t hash, pid_t thread, const char *what)
{
    struct statx info = {0};
    char path[48];

    snprintf(path, sizeof path, "/proc/%d/%s", (int)thread, what);
    if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_INO, &info) < 0)
        return 0;
    return mix(mix(mix(hash, info.stx_dev_major), info.stx_dev_minor), info.stx_ino);
}

/* From where the caller looks names up, folder: a descriptor of it, or AT_FDCWD. 0: not known. */
static uint64_t view_of(const struct notify *notify, const struct address *address, int folder)
{
    const struct sockaddr_un *name = (const struct sockaddr_un *)&address->storage;
    pid_t thread = (pid_t)notify->request->pid;
    char at[24] = "cwd";

    if (folder != AT_FDCWD)
        snprintf(at, sizeof at, "fd/%d", folder);
    uint64_t hash = mix_place(UINT64_C(0xcbf29ce484222325), thread, "ns/mnt");
    hash = hash ? mix_place(hash, thread, "root") : 0;
    if (hash && name->sun_path[0] != '/')
        hash = mix_place(hash, thread, at);
    return hash;
}

/* The kernel's path ends at the first NUL, whatever length was passed. */
static bool path_address(struct address *address, const char *text, size_t room)
{
    struct sockaddr_un *name = (struct sockaddr_un *)&address->storage;
    size_t len = strnlen(text, room);

    if (len == 0 || len > sizeof name->sun_path)
        return false;
    memset(address, 0, sizeof *address);
    name->sun_family = AF_UNIX;
    memcpy(name->sun_path, text, len);
    address->len = (socklen_t)(PATH_OFFSET + len);
    return true;
}

static bool normalise(struct address *path, const struct address *address)
{
    const struct sockaddr_un *name = (const struct sockaddr_un *)&address->storage;

    return path_address(path, name->sun_path, address->len - PATH_OFFSET);
}

/* --- the worker that is about to bind or to remove it --- */

/* From an unlink to the bind and the listen that follow, no other copy may do the same. Not longer:
 * a worker that ends, or that only removed a file, must not delay the others. */
static struct reservation {
    uint64_t view; /* 0: a free place */
    struct address address;
    uint8_t token[WIRE_TOKEN_SIZE];
    int64_t until_ms;
} reserved[RESERVED_MAX];

static bool is_over(const struct reservation *place)
{
    struct wire_auth auth = {0};
    const struct worker *worker;

    if (!place->view || loop_now_ms() >= place->until_ms)
        return true;
    LIST_FOREACH(worker, &workers, all)
        if (memcmp(worker->token, place->token, sizeof auth.token) == 0)
            return worker->state == WORKER_GONE;
    return true;
}

static bool is_reserved(const struct worker *by_others_than, uint64_t view,
                        const struct address *address)
{
    for (int i = 0; i < RESERVED_MAX; i++)
        if (reserved[i].view == view && address_equal(&reserved[i].address, address) &&
            !is_over(&reserved[i]) &&
            memcmp(reserved[i].token, by_others_than->token, WIRE_TOKEN_SIZE) != 0)
            return true;
    return false;
}

static void release(const struct worker *worker, uint64_t view, const struct address *address)
{
    for (int i = 0; i < RESERVED_MAX; i++)
        if (reserved[i].view == view && address_equal(&reserved[i].address, address) &&
            memcmp(reserved[i].token, worker->token, WIRE_TOKEN_SIZE) == 0)
            reserved[i].view = 0;
}

static void reserve(const struct worker *worker, uint64_t view, const struct address *address,
                    int64_t for_ms)
{
    release(worker, view, address);
    for (int i = 0; i < RESERVED_MAX; i++) {
        if (!is_over(&reserved[i]))
            continue;
        reserved[i] = (struct reservation){view, *address, {0}, loop_now_ms() + for_ms};
        memcpy(reserved[i].token, worker->token, WIRE_TOKEN_SIZE);
        return;
    }
}

/* --- bind and listen --- */

bool socket_file_bind(const struct notify *notify, struct worker *worker, pid_t asker,
                      const struct address *address, struct bind_verdict *verdict)
{
    struct address path;
    uint64_t view = 0;

    *verdict = (struct bind_verdict){.verdict = WIRE_PRIVATE};
    if (!normalise(&path, address) || (view = view_of(notify, &path, AT_FDCWD)) == 0)
        return true;
    if (is_reserved(worker, view, &path))
        return false;
    *verdict = bind_file(worker, asker, &path, view);
    if (verdict->verdict == WIRE_VACANT)
        reserve(worker, view, &path, BINDING_MS);
    return true;
}

struct listener *socket_file_listen(const struct notify *notify, struct worker *worker, pid_t asker,
                                    int fd)
{
    struct address bound = {.len = sizeof bound.storage};
    struct address path;

    if (getsockname(fd, (struct sockaddr *)&bound.storage, &bound.len) < 0 ||
        bound.storage.ss_family != AF_UNIX || bound.len <= PATH_OFFSET || !address_is_path(&bound))
        return NULL;
    uint64_t view = normalise(&path, &bound) ? view_of(notify, &path, AT_FDCWD) : 0;
    if (!view)
        return NULL;
    release(worker, view, &path);
    return bind_listening_file(worker, asker, &path, view, fd);
}

/* --- unlink --- */

static bool has_file(const struct channel *channel)
{
    return !channel->closed && !channel->gave_up_file && channel->worker->state != WORKER_GONE;
}

/* Whether the file stays: another copy has it, or may come for it. The last one's goes. */
static bool stays(const struct worker *worker, const struct listener *listener)
{
    struct channel *own = worker_find_channel(worker, listener);

    if (own)
        own->gave_up_file = true;
    for (uint32_t i = 0; i < listener->channel_count; i++)
        if (has_file(listener->channels[i]))
            return true;
    return !own;
}

/* Before it has all its listeners; those that are late have to take what the kernel gives. */
static bool is_young(const struct worker *worker)
{
    return worker->state == WORKER_STARTING || loop_now_ms() - worker->ready_ms < YOUNG_MS;
}

static void on_path(struct notify *notify, ssize_t got)
{
    bool is_at = filter_call_of(&notify->request->data) == FILTER_UNLINKAT;
    int folder = is_at ? (int)notify->args[0] : AT_FDCWD;
    const char *text = (const char *)notify->peek.bytes;
    const struct worker *worker = notify_worker(notify);
    struct address path;
    uint64_t view = 0;

    if (worker && got > 0 && memchr(text, '\0', (size_t)got) &&
        path_address(&path, text, (size_t)got))
        view = view_of(notify, &path, folder);
    if (!view || !notify_is_valid(notify)) {
        notify_continue(notify);
        return;
    }
    if (is_reserved(worker, view, &path)) {
        notify_retry(notify);
        return;
    }
    const struct listener *listener = listener_find(&path, &(struct socket_key){.view = view}, 0);
    if (listener && stays(worker, listener)) {
        notify_answer(notify, 0);
        return;
    }
    if (is_young(worker))
        reserve(worker, view, &path, REMOVING_MS);
    notify_continue(notify);
}

static bool are_there_files(void)
{
    const struct listener *listener;

    TAILQ_FOREACH(listener, &listeners, all)
        if (listener->socket.view)
            return true;
    return false;
}

/* Copies that serve may remove files of theirs all day: nothing is read for that unless one could
 * be ours. */
void socket_file_unlink(struct notify *notify, enum filter_call call)
{
    const struct worker *worker = notify_worker(notify);
    uint64_t at = notify->request->data.args[call == FILTER_UNLINKAT ? 1 : 0];
    bool is_folder = call == FILTER_UNLINKAT && (notify->args[2] & AT_REMOVEDIR);

    if (!worker || is_folder || (!is_young(worker) && !are_there_files()) ||
        notify_peek(notify, at, PEEK_MAX, on_path) < 0)
        notify_continue(notify);
}
