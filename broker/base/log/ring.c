/* ring.c - see ring.h. */
#include "broker/base/log/ring.h"

#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/loop/fds.h"

struct ring_line {
    uint64_t number; /* 0: none, or it is being written */
    char text[RING_LINE_SIZE];
};

struct ring {
    uint64_t last; /* number */
    struct ring_line lines[RING_LINES];
};

static struct ring *ring; /* NULL: none */
static int memory_fd;

static bool map(int fd)
{
    struct stat info;
    void *memory;

    if (fd < 0 || fstat(fd, &info) < 0 || info.st_size != sizeof *ring)
        return false;
    memory = fds_map_memory(fd, sizeof *ring);
    if (!memory)
        return false;
    ring = memory;
    memory_fd = fd;
    return true;
}

void ring_open(int fd)
{
    if (map(fd))
        return;
    if (fd >= 0)
        close(fd);
    fd = fds_make_memory("sshim-events", sizeof *ring, false);
    if (fd >= 0 && !map(fd))
        close(fd);
}

int ring_fd(void)
{
    return memory_fd;
}

uint64_t ring_next(void)
{
    return ring ? ring->last + 1 : 1;
}

void ring_add(const char *line, size_t len)
{
    if (!ring || len >= RING_LINE_SIZE)
        return;
    uint64_t number = ring->last + 1;
    struct ring_line *place = &ring->lines[number % RING_LINES];
    volatile uint64_t *valid = &place->number;
    *valid = 0;
    memcpy(place->text, line, len);
    place->text[len] = '\0';
    *valid = number;
    ring->last = number;
}

/* Another program may have written it. */
static bool is_whole(const struct ring_line *line, uint64_t number)
{
    return line->number == number && memchr(line->text, '\0', RING_LINE_SIZE);
}

uint64_t ring_get(uint64_t from, char line[RING_LINE_SIZE])
{
    if (!ring)
        return 0;
    uint64_t first = ring->last < RING_LINES ? 1 : ring->last - RING_LINES + 1;
    for (uint64_t number = from > first ? from : first; number <= ring->last; number++) {
        const struct ring_line *place = &ring->lines[number % RING_LINES];
        if (!is_whole(place, number))
            continue;
        strcpy(line, place->text);
        return number;
    }
    return 0;
}
