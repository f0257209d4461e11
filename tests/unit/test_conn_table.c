/* test_conn_table.c - what a broker goes on with of the connections that another version noted. */
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/journal.h"
#include "broker/operate/tell/conn_log/conn_table.h"
#include "tests/unit/unit.h"

#define MAGIC 0x31434353u
#define RECORDS 5
#define FREE_RECORD 2
#define BAD_RECORD 3

static struct channel_notes notes;

/* A table whose records have so many bytes. */
static int write_table(uint32_t magic, uint32_t record_size)
{
    const uint32_t head[] = {magic, record_size, RECORDS, 0};
    char record[512];
    int fd = memfd_create("table", MFD_CLOEXEC);

    CHECK(write(fd, head, sizeof head) == sizeof head);
    for (uint32_t i = 0; i < RECORDS; i++) {
        struct conn_kept kept = {.level = 1 + i, .slot = i, .handed_ms = 100 + i, .wait_ms = -1};
        kept.key.cookie = 1000 + i;
        if (i == FREE_RECORD)
            kept.level = 0;
        if (i == BAD_RECORD)
            kept.level = CONN_LEVELS + 1;
        memset(record, 0xaa, sizeof record); /* what is behind the kept half is of that broker */
        memcpy(record, &kept, record_size < sizeof kept ? record_size : sizeof kept);
        CHECK(write(fd, record, record_size) == (ssize_t)record_size);
    }
    return fd;
}

/* A broker opens one table in its life. */
static void in_child(void (*test)(uint32_t magic, uint32_t record_size), uint32_t magic,
                     uint32_t record_size)
{
    int status;

    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(journal_init() == 0);
        test(magic, record_size);
        fflush(stdout);
        _exit(!unit_ok);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void check_taken_over(uint32_t magic, uint32_t record_size)
{
    CHECK(conn_table_open(write_table(magic, record_size), 5000) == 0);
    CHECK(conn_table_count() == RECORDS - 2);
    for (uint32_t i = 0; i < RECORDS; i++) {
        struct conn *conn = conn_table_find(1000 + i);
        if (i == FREE_RECORD || i == BAD_RECORD) {
            CHECK(conn == NULL);
            continue;
        }
        CHECK(conn && conn->kept->slot == i && conn_table_count_slot(i) == 1 &&
              conn->kept->handed_ms == 100 + i);
        CHECK(conn && (record_size != CONN_KEPT_BEFORE || conn->kept->channel == 0));
        CHECK(conn && conn->due_ms == 5000 + conn_interval_ms(i) && conn->unlisted_ms == 0);
    }
    CHECK(conn_table_first() == conn_table_find(1000));
}

static void check_given_up(uint32_t magic, uint32_t record_size)
{
    struct conn_kept like = {.slot = 7, .key.cookie = 1};

    CHECK(conn_table_open(write_table(magic, record_size), 5000) == 0);
    CHECK(conn_table_count() == 0 && conn_table_first() == NULL);
    CHECK(conn_table_add(&like, &notes, 0, 5000) && conn_table_find(1)->kept->slot == 7);
}

static void test_versions(void)
{
    const uint32_t sizes[] = {CONN_KEPT_BEFORE, sizeof(struct conn_kept), 176, 192, 512};

    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        in_child(check_taken_over, MAGIC, sizes[i]);
}

static void test_unreadable(void)
{
    in_child(check_given_up, MAGIC + 1, 192);
    in_child(check_given_up, MAGIC, CONN_KEPT_BEFORE - 8);
}

static void test_again(void)
{
    struct conn_kept like = {.slot = 7, .key.cookie = 1};

    CHECK(journal_init() == 0);
    CHECK(conn_table_open(-1, 0) == 0);
    CHECK(conn_table_add(&like, &notes, 0, 0));
    like.slot = 8;
    CHECK(conn_table_add(&like, &notes, 0, 0)); /* handed to another worker */
    CHECK(conn_table_count() == 1 && conn_table_first()->kept->slot == 8);
    conn_table_remove(conn_table_first());
    CHECK(conn_table_count() == 0 && conn_table_find(1) == NULL);
    for (uint64_t i = 0; i < CONN_TABLE_MAX; i++) {
        like.key.cookie = 10 + i;
        CHECK(conn_table_add(&like, &notes, 0, 0));
    }
    like.key.cookie = 1;
    CHECK(!conn_table_add(&like, &notes, 0, 0));
}

/* What workers note by the same number is none of the other's. */
static void test_taken(void)
{
    struct conn_kept like = {.slot = 1, .channel = 50, .turn = 7};
    struct channel_notes others = {0};

    while (conn_table_count() > 0)
        conn_table_remove(conn_table_first());
    CHECK(conn_table_add(&like, &notes, CONN_LEVEL_NOTED, 1000));
    like.slot = 2;
    like.channel = 51;
    CHECK(conn_table_add(&like, &others, CONN_LEVEL_NOTED, 1000));
    CHECK(conn_table_count() == 2 && conn_table_count_slot(1) == 1 &&
          conn_table_count_slot(2) == 1);
    CHECK(conn_table_find_taken(50, 7)->kept->slot == 1);
    CHECK(conn_table_find_taken(51, 7)->kept->slot == 2);
    CHECK(!conn_table_find_taken(52, 7) && !conn_table_find_taken(50, 8) && !conn_table_find(0));
    CHECK(conn_table_first()->due_ms == 1000 + conn_interval_ms(CONN_LEVEL_NOTED));
    conn_table_disown(&others, 1100); /* that channel has ended */
    CHECK(conn_table_count_slot(2) == 1 && conn_table_first() == conn_table_find_taken(51, 7));
    CHECK(conn_table_first()->due_ms == 1100 + conn_interval_ms(0));
    conn_table_remove(conn_table_first());
    conn_table_remove(conn_table_first());
    CHECK(conn_table_count() == 0 && conn_table_count_slot(1) == 0 &&
          conn_table_count_slot(2) == 0);
}

int main(void)
{
    unit_run("connections that another version noted are gone on with", test_versions);
    unit_run("a table that cannot be read is given up", test_unreadable);
    unit_run("a record is taken, replaced and freed, and the table has an end", test_again);
    unit_run("what workers noted is kept apart, and looked at when its channel ends", test_taken);
    return unit_end();
}
