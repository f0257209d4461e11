/* journal.c - see journal.h. */
#include "broker/base/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker/base/loop/fds.h"

#define JOURNAL_MAGIC 0x344a5353u /* "SSJ4": the layout of everything here and in snapshot.h */
#define JOURNAL_NAME "sshim-journal"
#define COUNTS_MAX JOURNAL_LISTENERS_MAX
#define CLOSING_MAX 256
#define CLOSING_OWN (CLOSING_MAX - 1) /* the place that journal_begin_closing() takes */
#define HALF_SIZE ((size_t)16 << 20)  /* sparse: only what a snapshot fills becomes memory */
#define FORMAT_SHIFT 48

struct journal {
    uint32_t magic;
    _Atomic uint32_t clean;
    _Atomic int in_hand_fd;
    struct journal_in_hand in_hand;
    _Atomic uint64_t snapshot; /* format << 48 | length << 1 | half; 0: none */
    uint8_t counts_used[COUNTS_MAX];
    struct journal_counts counts[COUNTS_MAX];
    /* Behind what was there at first: an older journal has zeros there. */
    _Atomic uint64_t turn;
    _Atomic int closing[CLOSING_MAX]; /* fd + 1; 0: a free place */
    _Atomic int keeper;
    _Atomic int old_program; /* fd + 1; 0: no upgrade is under way */
    _Atomic int asker;       /* fd + 1; 0: none */
    _Atomic int held;        /* the same */
    _Atomic int proxied;     /* the same */
    _Atomic int deputy;
    _Atomic int tries_left;  /* of an upgrade */
    _Atomic int connections; /* as proxied */
    _Atomic int handed_over; /* an upgrade, to the keeper */
    _Atomic int watcher;     /* fd + 1; 0: none */
    _Atomic int stood_still;
};

#define HEAD_SIZE ((sizeof(struct journal) + 4095) & ~(size_t)4095)
static_assert(HEAD_SIZE <= 12288, "the snapshots stay where older brokers have them");
#define JOURNAL_SIZE (HEAD_SIZE + 2 * HALF_SIZE)

static struct journal *journal;
static int memory_fd = -1;

static struct journal_in_hand no_hand;
static _Atomic int no_fd = -1;
static _Atomic uint64_t no_turn;
static _Atomic int no_standstill;
struct journal_live journal_live = {&no_hand, &no_fd, &no_turn, &no_standstill, false, false};
static void (*save_state)(void);

static void set_journal(struct journal *memory)
{
    journal = memory;
    journal_live.in_hand = &memory->in_hand;
    journal_live.in_hand_fd = &memory->in_hand_fd;
    journal_live.turn = &memory->turn;
    journal_live.stood_still = &memory->stood_still;
}

/* NULL with the errno of mmap(2). */
static struct journal *map(int fd, int protection)
{
    void *memory = mmap(NULL, JOURNAL_SIZE, protection, MAP_SHARED, fd, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

int journal_init(void)
{
    int fd = fds_make_memory(JOURNAL_NAME, JOURNAL_SIZE, true);
    struct journal *memory = fd < 0 ? NULL : map(fd, PROT_READ | PROT_WRITE);

    if (!memory) {
        fds_close(fd);
        return -1;
    }
    set_journal(memory);
    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    memory_fd = fd;
    journal->magic = JOURNAL_MAGIC;
    journal->in_hand_fd = -1;
    return 0;
}

/* By the name that memfd_create(2) gave it: what is no memory could be cut short under us, or
 * answer when it likes. */
static bool is_memory(int fd)
{
    static const char expected[] = "/memfd:" JOURNAL_NAME;
    char path[32];
    char name[sizeof expected];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return readlink(path, name, sizeof name) >= (ssize_t)strlen(expected) &&
           memcmp(name, expected, strlen(expected)) == 0;
}

/* That of another broker. NULL with errno, EPROTO for one of another version. */
static struct journal *map_other(int fd, int protection)
{
    struct journal *other;

    if (!is_memory(fd) || lseek(fd, 0, SEEK_END) != (off_t)JOURNAL_SIZE) {
        errno = EPROTO;
        return NULL;
    }
    if (!(other = map(fd, protection)))
        return NULL;
    if (other->magic == JOURNAL_MAGIC)
        return other;
    munmap(other, JOURNAL_SIZE);
    errno = EPROTO;
    return NULL;
}

int journal_look(int fd)
{
    struct journal *other = map_other(fd, PROT_READ);

    if (!other)
        return -1;
    set_journal(other);
    return 0;
}

int journal_adopt(int fd)
{
    struct journal *other = map_other(fd, PROT_READ | PROT_WRITE);

    if (!other)
        return -1;
    if (journal)
        munmap(journal, JOURNAL_SIZE);
    if (memory_fd >= 0)
        close(memory_fd);
    set_journal(other);
    memory_fd = fd;
    memset(journal->closing, 0, sizeof journal->closing); /* not ours to close */
    return 0;
}

int journal_fd(void)
{
    return memory_fd;
}

struct journal_counts *journal_reserve_counts(uint32_t *number)
{
    for (uint32_t i = 0; i < COUNTS_MAX; i++) {
        if (journal->counts_used[i])
            continue;
        journal->counts_used[i] = 1;
        memset(&journal->counts[i], 0, sizeof journal->counts[i]);
        *number = i;
        return &journal->counts[i];
    }
    return NULL;
}

struct journal_counts *journal_counts_at(uint32_t number)
{
    return &journal->counts[number < COUNTS_MAX ? number : 0];
}

void journal_release_counts(uint32_t number)
{
    if (number < COUNTS_MAX)
        journal->counts_used[number] = 0;
}

static char *half(uint64_t number)
{
    return (char *)journal + HEAD_SIZE + number * HALF_SIZE;
}

void journal_touch(void)
{
    journal_live.touched = true;
    journal_live.unsaved = true;
}

void journal_save_now(void)
{
    if (journal_live.unsaved && save_state)
        save_state();
}

void journal_set_save(void (*save)(void))
{
    save_state = save;
}

void *journal_snapshot_room(size_t *size)
{
    *size = HALF_SIZE;
    return half(!(atomic_load(&journal->snapshot) & 1));
}

void journal_publish_snapshot(size_t len, uint16_t format)
{
    uint64_t other = !(atomic_load(&journal->snapshot) & 1);
    atomic_store(&journal->snapshot, (uint64_t)format << FORMAT_SHIFT | (uint64_t)len << 1 | other);
    journal_live.unsaved = false;
}

const void *journal_snapshot(size_t *len, uint16_t *format)
{
    uint64_t valid = atomic_load(&journal->snapshot);

    *format = (uint16_t)(valid >> FORMAT_SHIFT);
    *len = (size_t)((valid & ((UINT64_C(1) << FORMAT_SHIFT) - 1)) >> 1);
    return *len && *len <= HALF_SIZE ? half(valid & 1) : NULL;
}

int journal_note_closing(int fd)
{
    static unsigned next;

    for (unsigned i = 0; journal && i < CLOSING_OWN; i++) {
        unsigned place = next++ % CLOSING_OWN;
        if (atomic_load(&journal->closing[place]) != 0)
            continue;
        atomic_store(&journal->closing[place], fd + 1);
        return (int)place;
    }
    return -1;
}

int journal_take_closing(uint32_t place)
{
    return place < CLOSING_OWN ? atomic_exchange(&journal->closing[place], 0) - 1 : -1;
}

void journal_begin_closing(int fd)
{
    if (journal)
        atomic_store(&journal->closing[CLOSING_OWN], fd + 1);
}

void journal_end_closing(void)
{
    if (journal)
        atomic_store(&journal->closing[CLOSING_OWN], 0);
}

bool journal_is_closing(int fd)
{
    for (unsigned i = 0; i < CLOSING_MAX; i++)
        if (atomic_load(&journal->closing[i]) == fd + 1)
            return true;
    return false;
}

void journal_set_keeper(pid_t pid)
{
    atomic_store(&journal->keeper, pid);
}

pid_t journal_keeper(void)
{
    return atomic_load(&journal->keeper);
}

bool journal_claim_keeper(pid_t seen, pid_t pid)
{
    return atomic_compare_exchange_strong(&journal->keeper, &seen, pid);
}

void journal_set_deputy(pid_t pid)
{
    journal->deputy = pid;
}

pid_t journal_deputy(void)
{
    return journal->deputy;
}

void journal_begin_upgrade(const struct journal_upgrade *upgrade)
{
    atomic_store(&journal->handed_over, 0);
    atomic_store(&journal->watcher, 0);
    atomic_store(&journal->tries_left, upgrade->tries_left);
    atomic_store(&journal->asker, upgrade->asker_fd + 1);
    atomic_store(&journal->old_program, upgrade->old_program_fd + 1);
}

bool journal_find_upgrade(struct journal_upgrade *upgrade)
{
    upgrade->old_program_fd = atomic_load(&journal->old_program) - 1;
    upgrade->asker_fd = atomic_load(&journal->asker) - 1;
    upgrade->tries_left = atomic_load(&journal->tries_left);
    upgrade->watcher_fd = atomic_load(&journal->watcher) - 1;
    return upgrade->old_program_fd >= 0;
}

void journal_end_upgrade(void)
{
    atomic_store(&journal->old_program, 0);
}

void journal_begin_hand_over(int watcher_fd)
{
    atomic_store(&journal->watcher, watcher_fd + 1);
    atomic_store(&journal->handed_over, 1);
}

bool journal_take_hand_over(void)
{
    return atomic_exchange(&journal->handed_over, 0) != 0;
}

void journal_note_standstill(void)
{
    atomic_store(&journal->tries_left, 0);
    atomic_store(&journal->stood_still, 1);
}

void journal_set_held_fd(int fd)
{
    atomic_store(&journal->held, fd + 1);
}

int journal_held_fd(void)
{
    return atomic_load(&journal->held) - 1;
}

void journal_set_proxied_fd(int fd)
{
    atomic_store(&journal->proxied, fd + 1);
}

int journal_proxied_fd(void)
{
    return atomic_load(&journal->proxied) - 1;
}

void journal_set_connections_fd(int fd)
{
    atomic_store(&journal->connections, fd + 1);
}

int journal_connections_fd(void)
{
    return atomic_load(&journal->connections) - 1;
}

void journal_mark_clean(void)
{
    atomic_store(&journal->clean, 1);
}

bool journal_is_clean(void)
{
    return atomic_load(&journal->clean) != 0;
}
