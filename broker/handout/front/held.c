/* held.c - see held.h. A reader of another version goes by the sizes in the head of the table. */
#include "broker/handout/front/held.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/base/loop/fds.h"

#define TABLE_MAGIC 0x31485353u /* "SSH1" */
#define TABLE_NAME "sshim-held"
#define KEPT_SIZE offsetof(struct held, listener) /* what another broker can use */
#define RECORD_MAX 4096                           /* bytes, of any version */

struct table {
    uint32_t magic;
    uint32_t record_size, kept_size;
    _Atomic uint32_t used; /* places from the first one on that were ever taken */
    _Atomic int64_t suspended_ms;
    struct held_counts counts[JOURNAL_LISTENERS_MAX];
    struct held at[HELD_MAX];
};

const char *const held_closing_names[] = {
#define X(name, field) field,
    HELD_CLOSINGS(X)
#undef X
};

static struct table *table;
static int table_fd = -1;
static struct held_queue free_places = TAILQ_HEAD_INITIALIZER(free_places);
static uint32_t count;
static uint32_t others;

/* Sparse: only what is used becomes memory. */
static struct table *make(int *fd)
{
    struct table *made;

    *fd = fds_make_memory(TABLE_NAME, sizeof *made, false);
    made = *fd < 0 ? NULL : fds_map_memory(*fd, sizeof *made);
    if (!made) {
        fds_close(*fd);
        return NULL;
    }
    made->magic = TABLE_MAGIC;
    made->record_size = sizeof(struct held);
    made->kept_size = KEPT_SIZE;
    made->suspended_ms = loop_suspended_ms();
    return made;
}

int held_init(void)
{
    table = make(&table_fd);
    return table ? 0 : -1;
}

void held_publish(void)
{
    journal_set_held_fd(table ? table_fd : -1);
}

bool held_is_there(void)
{
    return table != NULL;
}

void held_prepare(struct listener *listener)
{
    for (int stage = 0; stage < LISTENER_STAGES; stage++)
        TAILQ_INIT(&listener->held.queues[stage]);
}

static struct held *find_place(void)
{
    struct held *held = TAILQ_FIRST(&free_places);

    if (held) {
        TAILQ_REMOVE(&free_places, held, queue);
        return held;
    }
    return table && table->used < HELD_MAX ? &table->at[table->used++] : NULL;
}

struct held *held_add(struct listener *listener, enum held_stage stage, int fd,
                      const struct wire_offer *offer)
{
    struct held *held = find_place();

    if (!held)
        return NULL;
    held->fd = fd;
    held->origin = listener->counts_number;
    held->is_nonblock = offer->flags & WIRE_OFFER_NONBLOCK;
    held->peer_len = offer->addr_len;
    if (offer->addr_len <= sizeof held->peer)
        memcpy(&held->peer, offer->addr, offer->addr_len);
    held->since_ms = loop_now_ms();
    held->listener = listener;
    held->watch.fd = -1;
    held->looks = 0;
    atomic_store_explicit(&held->stage, stage, memory_order_release);
    TAILQ_INSERT_TAIL(&listener->held.queues[stage], held, queue);
    listener->held.count++;
    count++;
    if ((uint32_t)fd >= count + others)
        others = (uint32_t)fd + 1 - count;
    return held;
}

void held_set_stage(struct held *held, enum held_stage stage)
{
    struct held_queue *queues = held->listener->held.queues;

    TAILQ_REMOVE(&queues[held->stage], held, queue);
    held->since_ms = loop_now_ms();
    atomic_store_explicit(&held->stage, stage, memory_order_release);
    TAILQ_INSERT_TAIL(&queues[stage], held, queue);
}

bool held_get_host(const struct held *held, struct cidr_host *host)
{
    struct sockaddr_storage peer = {0};

    if (held->peer_len > sizeof held->peer)
        return false;
    memcpy(&peer, &held->peer, held->peer_len);
    return cidr_host_of(&peer, host);
}

int held_remove(struct held *held)
{
    TAILQ_REMOVE(&held->listener->held.queues[held->stage], held, queue);
    atomic_store_explicit(&held->stage, HELD_FREE, memory_order_release);
    TAILQ_INSERT_HEAD(&free_places, held, queue);
    held->listener->held.count--;
    count--;
    if (count == 0)
        others = 0;
    return held->fd;
}

struct held_counts *held_counts_of(const struct listener *listener)
{
    return &table->counts[listener->counts_number];
}

void held_reset_counts(const struct listener *listener)
{
    if (table)
        memset(held_counts_of(listener), 0, sizeof(struct held_counts));
}

uint32_t held_count(void)
{
    return count;
}

uint32_t held_count_others(void)
{
    return others;
}

void held_note_clock(void)
{
    if (table)
        atomic_store_explicit(&table->suspended_ms, loop_suspended_ms(), memory_order_relaxed);
}

/* --- a table of any version --- */

struct other {
    struct table *table;
    size_t size;
};

static bool is_sound(const struct table *other, size_t size)
{
    return other->magic == TABLE_MAGIC && other->record_size <= RECORD_MAX &&
           other->kept_size <= other->record_size &&
           other->kept_size >= offsetof(struct held, peer) && other->used <= HELD_MAX &&
           offsetof(struct table, at) + (size_t)other->used * other->record_size <= size;
}

static bool open_other(int fd, struct other *other)
{
    struct stat info;

    if (fd < 0 || fstat(fd, &info) < 0 || info.st_size < (off_t)offsetof(struct table, at))
        return false;
    other->size = (size_t)info.st_size;
    other->table = mmap(NULL, other->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (other->table == MAP_FAILED)
        return false;
    if (is_sound(other->table, other->size))
        return true;
    munmap(other->table, other->size);
    return false;
}

/* What another version has at the end of its part is not used; what it lacks is 0. */
static struct held *other_at(const struct other *other, uint32_t i)
{
    return (struct held *)(void *)((char *)other->table->at +
                                   (size_t)i * other->table->record_size);
}

void held_each_fd(void (*visit)(int fd, void *context), void *context)
{
    int fd = journal_held_fd();
    struct other other;

    if (!open_other(fd, &other))
        return;
    visit(fd, context);
    for (uint32_t i = 0; i < other.table->used; i++) {
        const struct held *held = other_at(&other, i);
        if (held->stage != HELD_FREE)
            visit(held->fd, context);
    }
    munmap(other.table, other.size);
}

static struct listener *find_listener(uint32_t counts_number)
{
    struct listener *listener;

    TAILQ_FOREACH(listener, &listeners, all)
        if (listener->counts_number == counts_number && listener->canonical_fd >= 0)
            return listener;
    return NULL;
}

/* In the new table before it is published: nothing is closed until then. */
static void copy(const struct other *other, const struct held *from, int fd,
                 struct listener *listener)
{
    size_t size = other->table->kept_size < KEPT_SIZE ? other->table->kept_size : KEPT_SIZE;
    struct held *held = find_place();

    memset(held, 0, sizeof *held);
    memcpy(held, from, size);
    if (held->stage >= LISTENER_STAGES)
        held->stage = HELD_COMPLETE; /* of a version with more of them */
    held->fd = fd;
    held->since_ms += other->table->suspended_ms - loop_suspended_ms();
    held->listener = listener;
    held->watch.fd = -1;
    TAILQ_INSERT_TAIL(&listener->held.queues[held->stage], held, queue);
    listener->held.count++;
    count++;
}

static int compare_age(const void *a, const void *b)
{
    const struct held *const *one = a;
    const struct held *const *two = b;

    return ((*one)->since_ms > (*two)->since_ms) - ((*one)->since_ms < (*two)->since_ms);
}

/* The queues go by age, the places do not. Returns how many there are; gives the array. */
static uint32_t list_by_age(const struct other *other, struct held ***list)
{
    uint32_t found = 0;

    *list = calloc(other->table->used + 1, sizeof(struct held *));
    if (!*list)
        abort();
    for (uint32_t i = 0; i < other->table->used; i++)
        if (other_at(other, i)->stage != HELD_FREE)
            (*list)[found++] = other_at(other, i);
    qsort(*list, found, sizeof(struct held *), compare_age);
    return found;
}

static void copy_all(const struct other *other, int (*map)(int fd))
{
    struct held **list;
    uint32_t found = list_by_age(other, &list);

    memcpy(table->counts, other->table->counts, sizeof table->counts);
    for (uint32_t i = 0; i < found; i++) {
        struct listener *listener = find_listener(list[i]->origin);
        int fd = map(list[i]->fd);
        if (fd >= 0 && listener) {
            copy(other, list[i], fd, listener);
            continue;
        }
        list[i]->stage = HELD_FREE;
        if (fd >= 0)
            close(fd);
    }
    free(list);
}

void held_load(int (*map)(int fd))
{
    int old_fd = map(journal_held_fd());
    struct other other;

    if (open_other(old_fd, &other)) {
        if (!table && !(table = make(&table_fd)))
            abort();
        copy_all(&other, map);
        munmap(other.table, other.size);
    }
    held_publish();
    if (old_fd >= 0)
        close(old_fd);
}
