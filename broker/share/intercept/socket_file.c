/* socket_file.c - see socket_file.h. */
#include "broker/share/intercept/socket_file.h"

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
/* From unlink to the end of what the kernel does, and the bind that follows. */
#define REMOVING_MS 200
#define BINDING_MS 2000 /* from bind to listen */
#define YOUNG_MS 2000   /* a worker is ready with its first listener */

/* --- what a name means --- */

struct file {
    struct address path;
    uint64_t view; /* from where it was named */
};

/* What the kernel knows: the server of a network file system may be dead. */
static uint64_t mix_place(uint64_t hash, pid_t thread, const char *what)
{
    struct statx info = {0};
    char path[48];

    snprintf(path, sizeof path, "/proc/%d/%s", (int)thread, what);
    if (!hash || statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_INO, &info) < 0)
        return 0;
    const uint64_t words[] = {info.stx_dev_major, info.stx_dev_minor, info.stx_ino};
    for (int i = 0; i < 3; i++)
        hash = (hash ^ words[i]) * UINT64_C(0x100000001b3); /* FNV-1a, by words */
    return hash;
}

/* From where the thread looks this name up, folder: a descriptor of it, or AT_FDCWD. 0: not known.
 */
static uint64_t view_of(const char *name, pid_t thread, int folder)
{
    char at[24] = "cwd";

    if (folder != AT_FDCWD)
        snprintf(at, sizeof at, "fd/%d", folder);
    uint64_t hash = mix_place(UINT64_C(0xcbf29ce484222325), thread, "ns/mnt");
    hash = mix_place(hash, thread, "root");
    return name[0] == '/' ? hash : mix_place(hash, thread, at);
}

/* What the caller means by this text. The kernel's path ends at the first NUL. */
static bool read_file(struct file *file, const struct notify *notify, int folder, const char *text,
                      size_t room)
{
    struct sockaddr_un *name = (struct sockaddr_un *)&file->path.storage;
    size_t len = strnlen(text, room);

    memset(file, 0, sizeof *file);
    if (len == 0 || len > sizeof name->sun_path)
        return false;
    name->sun_family = AF_UNIX;
    memcpy(name->sun_path, text, len);
    file->path.len = (socklen_t)(PATH_OFFSET + len);
    file->view = view_of(text, (pid_t)notify->request->pid, folder);
    return file->view != 0;
}

static bool read_file_of_address(struct file *file, const struct notify *notify,
                                 const struct address *address)
{
    const struct sockaddr_un *name = (const struct sockaddr_un *)&address->storage;

    return read_file(file, notify, AT_FDCWD, name->sun_path, address->len - PATH_OFFSET);
}

/* --- the worker that is about to bind or to remove it --- */

/* From an unlink to the bind and the listen that follow, no other copy may do the same. Not longer:
 * a worker that ends, or that only removed a file, must not delay the others. */
static struct reservation {
    struct file file; /* .view 0: a free place */
    struct wire_auth holder;
    int64_t until_ms;
} reserved[RESERVED_MAX];

static bool is_over(const struct reservation *place)
{
    return !place->file.view || loop_now_ms() >= place->until_ms ||
           !worker_find_by_token(&place->holder);
}

static struct reservation *find_reservation(const struct file *file)
{
    for (int i = 0; i < RESERVED_MAX; i++)
        if (reserved[i].file.view == file->view &&
            address_equal(&reserved[i].file.path, &file->path) && !is_over(&reserved[i]))
            return &reserved[i];
    return NULL;
}

static bool is_reserved(const struct worker *by_others_than, const struct file *file)
{
    const struct reservation *place = find_reservation(file);

    return place && memcmp(place->holder.token, by_others_than->token, WIRE_TOKEN_SIZE) != 0;
}

/* No other worker holds it. */
static void reserve(const struct worker *worker, const struct file *file, int64_t for_ms)
{
    struct reservation *place = find_reservation(file);

    for (int i = 0; i < RESERVED_MAX && !place; i++)
        if (is_over(&reserved[i]))
            place = &reserved[i];
    if (!place)
        return;
    *place = (struct reservation){*file, {.slot = worker->slot}, loop_now_ms() + for_ms};
    memcpy(place->holder.token, worker->token, sizeof worker->token);
}

/* --- bind and listen --- */

bool socket_file_bind(const struct notify *notify, struct worker *worker, pid_t asker,
                      const struct address *address, struct bind_verdict *verdict)
{
    struct file file;

    *verdict = (struct bind_verdict){.verdict = WIRE_PRIVATE};
    if (!read_file_of_address(&file, notify, address))
        return true;
    if (is_reserved(worker, &file))
        return false;
    *verdict = bind_file(worker, asker, &file.path, file.view);
    if (verdict->verdict == WIRE_VACANT)
        reserve(worker, &file, BINDING_MS);
    return !verdict->looks;
}

struct listener *socket_file_listen(const struct notify *notify, struct worker *worker, pid_t asker,
                                    int fd)
{
    struct address bound = {.len = sizeof bound.storage};
    struct file file;

    if (getsockname(fd, (struct sockaddr *)&bound.storage, &bound.len) < 0 ||
        bound.len <= PATH_OFFSET || !address_is_path(&bound) ||
        !read_file_of_address(&file, notify, &bound))
        return NULL;
    struct reservation *place = find_reservation(&file);
    if (place)
        place->file.view = 0;
    return bind_listening_file(worker, asker, &file.path, file.view, fd);
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

static void on_path(struct peek *peek, ssize_t got)
{
    struct notify *notify = loop_container(peek, struct notify, peek);
    bool is_at = filter_call_of(&notify->request->data) == FILTER_UNLINKAT;
    int folder = is_at ? (int)notify->args[0] : AT_FDCWD;
    const char *text = (const char *)peek->bytes;
    const struct worker *worker = notify_worker(notify);
    struct file file;

    if (!worker || got <= 0 || !memchr(text, '\0', (size_t)got) ||
        !read_file(&file, notify, folder, text, (size_t)got) || !notify_is_valid(notify)) {
        notify_continue(notify);
        return;
    }
    if (is_reserved(worker, &file)) {
        notify_retry(notify);
        return;
    }
    const struct listener *listener =
        listener_find(&file.path, &(struct socket_key){.view = file.view}, 0);
    if (listener && stays(worker, listener)) {
        notify_answer(notify, 0);
        return;
    }
    if (is_young(worker))
        reserve(worker, &file, REMOVING_MS);
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
