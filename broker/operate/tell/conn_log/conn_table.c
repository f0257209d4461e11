/* conn_table.c - see conn_table.h. */
#include "broker/operate/tell/conn_log/conn_table.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/config.h"
#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/base/loop/fds.h"

#define TABLE_NAME "sshim-connections"
#define TABLE_MAGIC 0x31434353u /* "SCC1": records that begin as struct conn_kept */
#define BUCKETS 4096
#define LOOKS_A_LEVEL 8 /* an interval is an eighth of the age at most */

struct header {
    uint32_t magic;
    uint32_t record_size;
    uint32_t used; /* records from the first one on that were ever taken */
    uint32_t unused;
};

struct table {
    struct header head;
    struct conn_kept at[CONN_TABLE_MAX];
};
static_assert(offsetof(struct table, at) == 16, "brokers of other versions read it");

TAILQ_HEAD(conn_queue, conn);
LIST_HEAD(conn_bucket, conn);

static struct table *table;
static struct conn *conns;                    /* one for each record */
static struct conn_queue levels[CONN_LEVELS]; /* each by due_ms: the interval is one */
static struct conn_queue free_records = TAILQ_HEAD_INITIALIZER(free_records);
static struct conn_bucket buckets[BUCKETS];
static uint32_t in_use;
static uint32_t in_use_of[CONFIG_WORKERS_MAX]; /* by slot */

static struct conn_bucket *bucket_for(uint64_t number)
{
    return &buckets[number % BUCKETS];
}

static struct conn_bucket *bucket_of(const struct conn *conn)
{
    const struct conn_kept *kept = conn->kept;

    return bucket_for(kept->turn ? kept->channel + kept->turn : kept->key.cookie);
}

static void insert(struct conn *conn, uint32_t level, int64_t now_ms)
{
    conn->due_ms = now_ms + conn_interval_ms(level);
    TAILQ_INSERT_TAIL(&levels[level], conn, of_level);
    atomic_store_explicit(&conn->kept->level, level + 1, memory_order_release);
}

static void count(const struct conn *conn, int change)
{
    in_use += (uint32_t)change;
    in_use_of[conn->kept->slot % CONFIG_WORKERS_MAX] += (uint32_t)change;
}

/* The order within a level is lost, and is made again within one interval. */
static void resume(int64_t now_ms)
{
    for (uint32_t i = 0; i < table->head.used; i++) {
        struct conn *conn = &conns[i];
        conn->kept = &table->at[i];
        LIST_INSERT_HEAD(bucket_of(conn), conn, of_bucket);
        insert(conn, conn->kept->level - 1, now_ms);
        count(conn, 1);
    }
}

void conn_table_give_up(int fd)
{
    journal_set_connections_fd(-1); /* or the number would name another descriptor of ours */
    fds_close(fd);
}

/* Of any version. */
static bool is_table(int fd, struct header *head, size_t *size)
{
    struct stat info;

    if (fstat(fd, &info) < 0 || pread(fd, head, sizeof *head, 0) != sizeof *head ||
        head->magic != TABLE_MAGIC || head->record_size < CONN_KEPT_BEFORE ||
        head->used > CONN_TABLE_MAX)
        return false;
    *size = (size_t)info.st_size;
    return *size >= sizeof *head + (uint64_t)head->used * head->record_size;
}

/* Another version has more behind each record, or less. */
static bool copy_records(int fd)
{
    struct header head;
    size_t size;

    if (!is_table(fd, &head, &size))
        return false;
    char *other = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (other == MAP_FAILED)
        return false;
    for (uint32_t i = 0; i < head.used; i++) {
        struct conn_kept *record = &table->at[table->head.used];
        memcpy(record, other + sizeof head + (size_t)i * head.record_size,
               head.record_size < sizeof *record ? head.record_size : sizeof *record);
        if (record->level > 0 && record->level <= CONN_LEVELS)
            table->head.used++;
        else
            record->level = 0;
    }
    munmap(other, size);
    return true;
}

/* Of which the journal does not know yet. A descriptor, or -1. */
static int make_table(void)
{
    int fd = fds_make_memory(TABLE_NAME, sizeof *table, false);
    void *memory =
        fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *table, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (memory == MAP_FAILED) {
        fds_close(fd);
        return -1;
    }
    table = memory;
    table->head.record_size = sizeof table->at[0];
    table->head.magic = TABLE_MAGIC;
    return fd;
}

int conn_table_open(int fd, int64_t now_ms)
{
    for (unsigned level = 0; level < CONN_LEVELS; level++)
        TAILQ_INIT(&levels[level]);
    int own_fd = (conns = calloc(CONN_TABLE_MAX, sizeof *conns)) ? make_table() : -1;
    if (own_fd < 0) {
        conn_table_give_up(fd);
        return -1;
    }
    if (fd >= 0 && !copy_records(fd))
        log_error("cannot read what the broker before has noted for --conn-log: connections that "
                  "are open now have no line in it");
    journal_set_connections_fd(own_fd);
    fds_close(fd);
    resume(now_ms);
    return 0;
}

void conn_table_close(void)
{
    if (!table)
        return;
    conn_table_give_up(journal_connections_fd());
    munmap(table, sizeof *table);
    free(conns);
    table = NULL;
    conns = NULL;
    TAILQ_INIT(&free_records);
}

struct conn *conn_table_find(uint64_t cookie)
{
    struct conn *conn;

    LIST_FOREACH(conn, bucket_for(cookie), of_bucket)
        if (conn->kept->key.cookie == cookie && !conn->kept->turn)
            return conn;
    return NULL;
}

struct conn *conn_table_find_taken(uint64_t channel, uint32_t turn)
{
    struct conn *conn;

    LIST_FOREACH(conn, bucket_for(channel + turn), of_bucket)
        if (conn->kept->channel == channel && conn->kept->turn == turn)
            return conn;
    return NULL;
}

static struct conn *take_record(void)
{
    struct conn *conn = TAILQ_FIRST(&free_records);

    if (conn) {
        TAILQ_REMOVE(&free_records, conn, of_level);
    } else if (table->head.used < CONN_TABLE_MAX) {
        conn = &conns[table->head.used];
        conn->kept = &table->at[table->head.used++];
    }
    return conn;
}

bool conn_table_add(const struct conn_kept *like, struct channel_notes *notes, uint32_t level,
                    int64_t now_ms)
{
    struct conn *conn = like->turn ? conn_table_find_taken(like->channel, like->turn)
                                   : conn_table_find(like->key.cookie);

    if (conn)
        conn_table_remove(conn);
    conn = take_record();
    if (!conn)
        return false;
    memcpy((char *)conn->kept + sizeof like->level, (const char *)like + sizeof like->level,
           sizeof *like - sizeof like->level);
    LIST_INSERT_HEAD(bucket_of(conn), conn, of_bucket);
    insert(conn, level, now_ms);
    conn->unlisted_ms = 0;
    conn->noted_ms = 0;
    conn->notes = notes;
    LIST_INSERT_HEAD(&notes->conns, conn, of_channel);
    count(conn, 1);
    return true;
}

static void leave_level(struct conn *conn)
{
    TAILQ_REMOVE(&levels[conn->kept->level - 1], conn, of_level);
}

void conn_table_put_off(struct conn *conn, int64_t now_ms)
{
    uint32_t level = conn->kept->level - 1;
    int64_t age_ms = now_ms - conn->kept->handed_ms;

    leave_level(conn);
    if (conn->unlisted_ms)
        level = 0;
    else if (level + 1 < CONN_LEVELS && age_ms >= LOOKS_A_LEVEL * conn_interval_ms(level + 1))
        level++;
    insert(conn, level, now_ms);
}

void conn_table_hurry(struct conn *conn, int64_t now_ms)
{
    leave_level(conn);
    insert(conn, 0, now_ms);
}

static void leave_channel(struct conn *conn)
{
    LIST_REMOVE(conn, of_channel);
    conn->notes = NULL;
}

void conn_table_disown(struct channel_notes *notes, int64_t now_ms)
{
    struct conn *conn;

    while ((conn = LIST_FIRST(&notes->conns)) != NULL) {
        leave_channel(conn);
        conn_table_hurry(conn, now_ms);
    }
}

void conn_table_remove(struct conn *conn)
{
    if (conn->notes)
        leave_channel(conn);
    leave_level(conn);
    LIST_REMOVE(conn, of_bucket);
    count(conn, -1);
    atomic_store_explicit(&conn->kept->level, 0, memory_order_release);
    TAILQ_INSERT_HEAD(&free_records, conn, of_level);
}

uint32_t conn_table_count(void)
{
    return in_use;
}

uint32_t conn_table_count_slot(uint32_t slot)
{
    return in_use_of[slot % CONFIG_WORKERS_MAX];
}

bool conn_table_has_due(const struct conn *like, uint32_t count, int64_t now_ms)
{
    const struct conn *conn;

    for (unsigned level = 0; level < CONN_LEVELS; level++)
        TAILQ_FOREACH(conn, &levels[level], of_level) {
            if (conn->due_ms > now_ms)
                break;
            if (conn->kept->key.family == like->kept->key.family &&
                conn->kept->key.local_port == like->kept->key.local_port && --count == 0)
                return true;
        }
    return false;
}

struct conn *conn_table_first(void)
{
    struct conn *first = NULL;

    for (unsigned level = 0; level < CONN_LEVELS; level++) {
        struct conn *conn = TAILQ_FIRST(&levels[level]);
        if (conn && (!first || conn->due_ms < first->due_ms))
            first = conn;
    }
    return first;
}
