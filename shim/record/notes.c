/* notes.c - see notes.h. */
#include "shim/record/notes.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stddef.h>

#include "shim/base/next.h"

#define FDS_MAX 65536

/* By descriptor, the turn of the note of its take: it saves a system call at the close. */
static _Atomic uint32_t takes[FDS_MAX];

static uint32_t exchange_take(int fd, uint32_t turn)
{
    return fd < FDS_MAX ? atomic_exchange_explicit(&takes[fd], turn, memory_order_relaxed) : 0;
}

void notes_forget_take(int fd)
{
    exchange_take(fd, 0);
}

/* NULL: the ring is full. */
__attribute__((cold)) static struct note *reserve(struct notes *notes, enum note_kind kind,
                                                  uint32_t *turn)
{
    uint32_t next = atomic_load(&notes->next);

    do
        if (next - atomic_load(&notes->read) >= NOTES_MAX)
            return NULL;
    while (!atomic_compare_exchange_weak(&notes->next, &next, next + 1));
    struct note *note = &notes->at[next % NOTES_MAX];
    *turn = next + 1;
    note->kind = kind;
    note->forks = atomic_load_explicit(&vlisten_forks, memory_order_relaxed);
    note->at_ms = (uint32_t)vlisten_now_ms();
    return note;
}

static void finish(struct vlisten *listener, struct note *note, uint32_t turn)
{
    struct notes *notes = &listener->board->notes;

    atomic_store(&note->turn, turn);
    if ((turn - atomic_load(&notes->read)) % NOTES_MANY == 0 ||
        (!atomic_load(&notes->looks) && !atomic_exchange(&notes->looks, 1)))
        vlisten_tell(listener, &WIRE_HEAD(WIRE_NOTES), sizeof(struct wire_head));
}

/* As the broker does in waits.c: the kernel notes the handshake as the last time at which the
 * server has sent something. */
static uint32_t measure_wait_ms(int fd)
{
    uint32_t info[offsetof(struct tcp_info, tcpi_last_ack_sent) / sizeof(uint32_t)];
    socklen_t len = sizeof info;

    return NEXT(getsockopt)(fd, IPPROTO_TCP, TCP_INFO, info, &len) < 0
               ? NOTES_NO_WAIT
               : info[sizeof info / sizeof info[0] - 1];
}

__attribute__((cold)) void notes_add_take(struct vlisten *listener, int fd,
                                          const struct sockaddr_in6 *peer)
{
    int saved = errno;
    socklen_t len = sizeof(struct sockaddr_in6);
    uint32_t turn = 0;
    struct note *note = reserve(&listener->board->notes, NOTE_TAKE, &turn);

    exchange_take(fd, turn);
    if (!note) {
        atomic_fetch_add(&listener->board->notes.lost, 1);
        return;
    }
    note->peer = *peer;
    note->wait_ms = measure_wait_ms(fd);
    NEXT(getsockname)(fd, (struct sockaddr *)&note->local, &len);
    finish(listener, note, turn);
    errno = saved;
}

/* A vfork child has our tables, and closes its own copies. */
__attribute__((cold)) void notes_add_close(struct vlisten *listener, int fd)
{
    int saved = errno;
    socklen_t len = sizeof(uint64_t);
    uint32_t turn;
    struct note *note =
        vlisten_is_owner() ? reserve(&listener->board->notes, NOTE_CLOSE, &turn) : NULL;

    if (!note)
        return;
    note->taken = exchange_take(fd, 0);
    if (!note->taken)
        NEXT(getsockopt)(fd, SOL_SOCKET, SO_COOKIE, &note->cookie, &len);
    finish(listener, note, turn);
    errno = saved;
}
