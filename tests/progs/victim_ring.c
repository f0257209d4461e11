/*
 * victim_ring.c - a server that waits for connections by io_uring(7): binds and listens by libc,
 * and accepts past it, or lets epoll(7) wait. Usage: victim_ring accept|epoll PORT
 */
#include <linux/io_uring.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "victim.h"

#define ENTRIES 8

struct ring {
    int fd;
    struct io_uring_params params;
    char *submissions, *completions;
    struct io_uring_sqe *entries;
};

static void *map(int fd, size_t size, off_t what)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, what);
    CHECK(at != MAP_FAILED);
    return at;
}

static void open_ring(struct ring *ring)
{
    struct io_uring_params *params = &ring->params;

    memset(ring, 0, sizeof *ring);
    ring->fd = (int)MUST(syscall(SYS_io_uring_setup, ENTRIES, params));
    ring->submissions = map(ring->fd, params->sq_off.array + params->sq_entries * sizeof(uint32_t),
                            IORING_OFF_SQ_RING);
    ring->completions =
        map(ring->fd, params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe),
            IORING_OFF_CQ_RING);
    ring->entries = map(ring->fd, params->sq_entries * sizeof *ring->entries, IORING_OFF_SQES);
}

static unsigned *at(char *ring, unsigned offset)
{
    return (unsigned *)(void *)(ring + offset);
}

/* Carries out one request: its result, or a negative errno. */
static int carry_out(struct ring *ring, struct io_uring_sqe request)
{
    unsigned *tail = at(ring->submissions, ring->params.sq_off.tail);
    unsigned *head = at(ring->completions, ring->params.cq_off.head);
    unsigned slot = *tail & *at(ring->submissions, ring->params.sq_off.ring_mask);

    ring->entries[slot] = request;
    at(ring->submissions, ring->params.sq_off.array)[slot] = slot;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    MUST(syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0));
    const struct io_uring_cqe *done = (const void *)(ring->completions + ring->params.cq_off.cqes);
    int result = done[*head & *at(ring->completions, ring->params.cq_off.ring_mask)].res;
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    return result;
}

static void accept_by_ring(int port, const char *argument)
{
    struct ring ring;
    int fd = make_listener(port);
    (void)argument;
    open_ring(&ring);
    for (;;) {
        int conn_fd = carry_out(&ring, (struct io_uring_sqe){.opcode = IORING_OP_ACCEPT, .fd = fd});
        if (conn_fd >= 0)
            answer(conn_fd, NULL);
        else
            usleep(100000);
    }
}

/* As libuv: the ring only changes what epoll waits for. */
static void epoll_by_ring(int port, const char *argument)
{
    struct ring ring;
    struct epoll_event event = {.events = EPOLLIN};
    int fd = make_listener(port);
    int epoll_fd = MUST(epoll_create1(0));
    (void)argument;
    open_ring(&ring);
    CHECK(carry_out(&ring, (struct io_uring_sqe){.opcode = IORING_OP_EPOLL_CTL,
                                                 .fd = epoll_fd,
                                                 .off = (uint64_t)fd,
                                                 .len = EPOLL_CTL_ADD,
                                                 .addr = (uintptr_t)&event}) == 0);
    for (;;)
        if (epoll_wait(epoll_fd, &event, 1, -1) == 1)
            answer(accept(fd, NULL, NULL), NULL);
}

static const struct victim_mode modes[] = {
    {"accept", accept_by_ring},
    {"epoll", epoll_by_ring},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return run_mode(modes, argc, argv);
}
