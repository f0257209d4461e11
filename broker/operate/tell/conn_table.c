/* conn_table.c - see conn_table.h. */
#include "broker/operate/tell/conn_table.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/journal.h"
#include "broker/base/loop/fds.h"

#define TABLE_NAME "sshim-connections"
#define TABLE_MAGIC 0x31434353u /* "SCC1": the layout of everything here */
#define KEPT_SIZE offsetof(struct conn, due_ms)
#define BUCKETS 4096
#define LOOKS_A_LEVEL 8 /* an interval is an eighth of the age at most */

struct table {
    uint32_t magic;
    uint32_t record_size;
    uint32_t used; /* records from the first one on that were ever taken */
    struct conn at[CONN_TABLE_MAX];
};

TAILQ_HEAD(conn_queue, conn);
LIST_HEAD(conn_bucket, conn);

static struct table *table;
static struct conn_queue levels[CONN_LEVELS]; /* each by due_ms: the interval is one */
static struct conn_queue free_records = TAILQ_HEAD_INITIALIZER(free_records);
static struct conn_bucket buckets[BUCKETS];
static uint32_t in_use;

static struct conn_bucket *bucket_of(const struct conn *conn)
{
    return &buckets[conn->key.cookie % BUCKETS];
}

static void insert(struct conn *conn, uint32_t level, int64_t now_ms)
{
    conn->due_ms = now_ms + conn_interval_ms(level);
    TAILQ_INSERT_TAIL(&levels[level], conn, of_level);
    atomic_store_explicit(&conn->level, level + 1, memory_order_release);
}

static bool is_table(int fd)
{
    struct stat info;

    return fd >= 0 && fstat(fd, &info) == 0 && info.st_size == sizeof *table;
}

static void begin(void)
{
    table->used = 0;
    table->record_size = sizeof(struct conn);
    table->magic = TABLE_MAGIC;
}

/* The order within a level is lost, and is made again within one interval. */
static void resume(int64_t now_ms)
{
    for (uint32_t i = 0; i < table->used; i++) {
        struct conn *conn = &table->at[i];
        uint32_t level = conn->level;
        if (level == 0 || level > CONN_LEVELS) {
            conn->level = 0;
            TAILQ_INSERT_TAIL(&free_records, conn, of_level);
            continue;
        }
        LIST_INSERT_HEAD(bucket_of(conn), conn, of_bucket);
        insert(conn, level - 1, now_ms);
        conn->unlisted_ms = 0;
        in_use++;
    }
}

void conn_table_give_up(int fd)
{
    journal_set_connections_fd(-1); /* or the number would name another descriptor of ours */
    fds_close(fd);
}

int conn_table_open(int fd, int64_t now_ms)
{
    bool is_old = is_table(fd);

    if (!is_old)
        conn_table_give_up(fd);
    for (unsigned level = 0; level < CONN_LEVELS; level++)
        TAILQ_INIT(&levels[level]);
    if (!is_old)
        fd = fds_make_memory(TABLE_NAME, sizeof *table, false);
    if (fd < 0)
        return -1;
    void *memory = mmap(NULL, sizeof *table, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        conn_table_give_up(fd);
        return -1;
    }
    table = memory;
    journal_set_connections_fd(fd);
    if (is_old && table->magic == TABLE_MAGIC && table->record_size == sizeof(struct conn) &&
        table->used <= CONN_TABLE_MAX)
        resume(now_ms);
    else
        begin();
    return 0;
}

struct conn *conn_table_find(uint64_t cookie)
{
    struct conn *conn;

    LIST_FOREACH(conn, &buckets[cookie % BUCKETS], of_bucket)
        if (conn->key.cookie == cookie)
            return conn;
    return NULL;
}

static struct conn *take_record(void)
{
    struct conn *conn = TAILQ_FIRST(&free_records);

    if (conn)
        TAILQ_REMOVE(&free_records, conn, of_level);
    else if (table->used < CONN_TABLE_MAX)
        conn = &table->at[table->used++];
    return conn;
}

bool conn_table_add(const struct conn *like, int64_t now_ms)
{
    struct conn *conn = conn_table_find(like->key.cookie);

    if (conn)
        conn_table_remove(conn);
    conn = take_record();
    if (!conn)
        return false;
    memcpy((char *)conn + sizeof conn->level, (const char *)like + sizeof conn->level,
           KEPT_SIZE - sizeof conn->level);
    LIST_INSERT_HEAD(bucket_of(conn), conn, of_bucket);
    insert(conn, 0, now_ms);
    conn->unlisted_ms = 0;
    in_use++;
    return true;
}

static void leave_level(struct conn *conn)
{
    TAILQ_REMOVE(&levels[conn->level - 1], conn, of_level);
}

void conn_table_put_off(struct conn *conn, int64_t now_ms)
{
    uint32_t level = conn->level - 1;
    int64_t age_ms = now_ms - conn->handed_ms;

    leave_level(conn);
    if (conn->unlisted_ms)
        level = 0;
    else if (level + 1 < CONN_LEVELS && age_ms >= LOOKS_A_LEVEL * conn_interval_ms(level + 1))
        level++;
    insert(conn, level, now_ms);
}

void conn_table_remove(struct conn *conn)
{
    leave_level(conn);
    LIST_REMOVE(conn, of_bucket);
    atomic_store_explicit(&conn->level, 0, memory_order_release);
    TAILQ_INSERT_HEAD(&free_records, conn, of_level);
    in_use--;
}

uint32_t conn_table_count(void)
{
    return in_use;
}

bool conn_table_has_due(const struct conn *like, uint32_t count, int64_t now_ms)
{
    const struct conn *conn;

    for (unsigned level = 0; level < CONN_LEVELS; level++)
        TAILQ_FOREACH(conn, &levels[level], of_level) {
            if (conn->due_ms > now_ms)
                break;
            if (conn->key.family == like->key.family &&
                conn->key.local_port == like->key.local_port && --count == 0)
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
