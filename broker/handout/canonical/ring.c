/* ring.c - see ring.h. One request at a time: io_uring(7) without its library. */
#include "broker/handout/canonical/ring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef IORING_ACCEPT_DONTWAIT
#define IORING_ACCEPT_DONTWAIT (1u << 1)
#endif

#define ENTRIES 1

static struct {
    int fd; /* keeps; -1: none */
    bool tried;
    struct io_uring_sqe *request;
    struct io_uring_cqe *answers;
    unsigned *array;
    _Atomic unsigned *request_tail;
    _Atomic unsigned *answer_head;
    unsigned request_mask, answer_mask;
} ring = {.fd = -1};

static void give_up(void)
{
    if (ring.fd >= 0)
        close(ring.fd); /* what is mapped keeps it alive: a few pages, once */
    ring.fd = -1;
}

/* False: this kernel cannot, or its administrator does not permit it. */
static bool set_up(void)
{
    struct io_uring_params params = {0};

    ring.fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &params); /* with FD_CLOEXEC */
    if (ring.fd < 0 || !(params.features & IORING_FEAT_SINGLE_MMAP))
        return false;
    size_t size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    size_t array_end = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    char *queues = mmap(NULL, size > array_end ? size : array_end, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_POPULATE, ring.fd, IORING_OFF_SQ_RING);
    ring.request = mmap(NULL, params.sq_entries * sizeof *ring.request, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_POPULATE, ring.fd, IORING_OFF_SQES);
    if (queues == MAP_FAILED || ring.request == MAP_FAILED)
        return false;
    ring.answers = (struct io_uring_cqe *)(queues + params.cq_off.cqes);
    ring.array = (unsigned *)(queues + params.sq_off.array);
    ring.request_tail = (_Atomic unsigned *)(queues + params.sq_off.tail);
    ring.answer_head = (_Atomic unsigned *)(queues + params.cq_off.head);
    ring.request_mask = params.sq_entries - 1;
    ring.answer_mask = params.cq_entries - 1;
    return true;
}

/* The result of the request that was prepared; negative: an errno. */
static int submit(void)
{
    unsigned tail = atomic_load_explicit(ring.request_tail, memory_order_relaxed);
    unsigned head = atomic_load_explicit(ring.answer_head, memory_order_relaxed);
    long entered;

    ring.array[tail & ring.request_mask] = 0;
    atomic_store_explicit(ring.request_tail, tail + 1, memory_order_release);
    do /* nothing waits for the answer: the request does not either */
        entered = syscall(SYS_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0);
    while (entered < 0 && errno == EINTR);
    if (entered != 1) {
        give_up();
        return -EOPNOTSUPP;
    }
    int result = ring.answers[head & ring.answer_mask].res;
    atomic_store_explicit(ring.answer_head, head + 1, memory_order_release);
    return result;
}

static int ask(int fd, struct sockaddr *peer, socklen_t *len, int flags)
{
    memset(ring.request, 0, sizeof *ring.request);
    ring.request->opcode = IORING_OP_ACCEPT;
    ring.request->ioprio = IORING_ACCEPT_DONTWAIT;
    ring.request->fd = fd;
    ring.request->addr = (uint64_t)(uintptr_t)peer;
    ring.request->addr2 = (uint64_t)(uintptr_t)len;
    ring.request->accept_flags = (uint32_t)flags;
    return submit();
}

/* Tries a file that is no socket: ENOTSOCK if the kernel knows the flag, else EINVAL. */
static bool is_ready(void)
{
    if (!ring.tried && (!set_up() || ask(ring.fd, NULL, NULL, 0) != -ENOTSOCK))
        give_up();
    ring.tried = true;
    return ring.fd >= 0;
}

int ring_accept(int listening_fd, struct sockaddr *peer, socklen_t *len, int flags)
{
    int result = is_ready() ? ask(listening_fd, peer, len, flags) : -EOPNOTSUPP;

    if (result >= 0)
        return result;
    errno = -result;
    return -1;
}
