/* test_userptr.c - shim/base/userptr.h: which pointers may be followed. */
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shim/base/next.h"
#include "shim/base/userptr.h"
#include "unit.h"

static size_t page;

/* Two pages with these rights, and nothing behind them. */
static char *map(int rights)
{
    char *three = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(three != MAP_FAILED && mprotect(three, 2 * page, rights) == 0);
    return three;
}

static bool is_writable(const void *pointer, size_t len)
{
    return userptr_is_writable(pointer, len, USERPTR_ADDR);
}

static bool is_readable(const void *pointer, size_t len)
{
    return userptr_is_readable(pointer, len, USERPTR_TIMEOUT);
}

static void before_anything_is_known_nothing_is(void)
{
    CHECK(!is_writable(NULL, 4));
    CHECK(!is_writable((void *)UINTPTR_MAX, 4)); /* its end is behind 0 */
    CHECK(!is_readable((void *)(UINTPTR_MAX - 3), 16));
    CHECK(!is_readable((void *)16, 4));
}

static void what_is_mapped_is(void)
{
    char *two = map(PROT_READ | PROT_WRITE);
    int here;

    CHECK(is_writable(&here, sizeof here));
    CHECK(is_writable(two, 2 * page));
    CHECK(is_writable(two + 2 * page - 1, 1));
    CHECK(!is_writable(two + 2 * page - 1, 2));
    CHECK(!is_writable(two + 2 * page, 1));
}

static void what_is_only_read_is_not_written(void)
{
    char *two = map(PROT_READ);

    CHECK(!is_writable(two, 1));
    CHECK(is_readable(two, 2 * page));
    CHECK(!is_readable(two + page, page + 1));
}

static void nothing_is_behind_a_length_of_0(void)
{
    CHECK(is_writable(NULL, 0) && is_readable(NULL, 0));
}

/* More ranges than are remembered: each is asked about again, with the same answer. */
static void what_is_forgotten_is_asked_again(void)
{
    char *good[USERPTR_WAYS + 2];

    for (unsigned i = 0; i < USERPTR_WAYS + 2; i++)
        good[i] = map(PROT_READ | PROT_WRITE);
    for (unsigned i = 0; i < 3 * (USERPTR_WAYS + 2); i++) {
        char *two = good[i % (USERPTR_WAYS + 2)];
        CHECK(is_writable(two, 2 * page) && !is_writable(two, 2 * page + 1));
    }
}

int main(void)
{
    page = (size_t)sysconf(_SC_PAGESIZE);
    unit_run("userptr: before anything is known no bad pointer is good",
             before_anything_is_known_nothing_is);
    unit_run("userptr: what is mapped, to its last byte", what_is_mapped_is);
    unit_run("userptr: what may only be read is not written", what_is_only_read_is_not_written);
    unit_run("userptr: nothing is behind a length of 0", nothing_is_behind_a_length_of_0);
    unit_run("userptr: what was forgotten is asked about again", what_is_forgotten_is_asked_again);
    return unit_end();
}
