/* turn.c - see turn.h. */
#include "shim/take/turn.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "shim/base/next.h"
#include "shim/take/announce.h"
#include "shim/take/direct.h"
#include "shim/take/wait.h"

#define LISTENERS_MAX 4 /* that are looked at in one turn; each time another one comes first */

/* initial-exec: the default model would call __tls_get_addr, which may allocate. */
static __thread unsigned first_listener __attribute__((tls_model("initial-exec")));

static_assert(VLISTEN_SEEN == 64, "a bit of uint64_t each");

/* The listeners whose canonical sockets are worth a look. */
struct turn {
    unsigned count;
    struct vlisten *listeners[LISTENERS_MAX];
    int shadows[LISTENERS_MAX];
};

/* Bit 0 is that of the listener that comes first. */
static uint64_t rotate(uint64_t listeners, unsigned first)
{
    return first == 0 ? listeners : listeners >> first | listeners << (VLISTEN_SEEN - first);
}

static bool begin(struct turn *turn, uint64_t listeners)
{
    unsigned first = first_listener % VLISTEN_SEEN;

    turn->count = 0;
    for (uint64_t left = rotate(listeners, first); left && turn->count < LISTENERS_MAX;
         left &= left - 1) {
        unsigned at = (first + (unsigned)__builtin_ctzll(left)) % VLISTEN_SEEN;
        struct vlisten *listener = &vlisten_table[at];
        if (!direct_is_possible(listener))
            continue;
        turn->listeners[turn->count] = listener;
        turn->shadows[turn->count++] = atomic_load(&listener->shadow_fd);
    }
    if (turn->count > 0)
        wait_note_visit(listeners);
    return turn->count > 0;
}

/* The call with the shadows has failed. Without them it may not: the limit of descriptors, or a
 * shadow that was closed meanwhile, is none of the program's. Then it makes its own call. */
static int report_failure(int saved)
{
    if (errno == EINTR)
        return -1;
    errno = saved;
    return 0;
}

/* Which listener is reported, of those whose bit is set in ready; NULL: none. */
static struct vlisten *choose(const struct turn *turn, unsigned ready)
{
    for (unsigned i = 0; i < turn->count; i++) {
        if (!(ready & 1u << i)) {
            direct_note_vain(turn->listeners[i]);
            continue;
        }
        first_listener = vlisten_index(turn->listeners[i]) + 1;
        direct_tell(turn->listeners[i]);
        return turn->listeners[i];
    }
    return NULL;
}

/* The entry by which the program waits for it, or count: another thread has closed it. */
static nfds_t find_entry(const struct vlisten *listener, const struct pollfd *fds, nfds_t count)
{
    nfds_t i = 0;

    while (i < count && (!(fds[i].events & POLLIN) || vlisten_known(fds[i].fd) != listener))
        i++;
    return i;
}

static int report_polled(const struct vlisten *listener, struct pollfd *fds, nfds_t count)
{
    nfds_t at = listener ? find_entry(listener, fds, count) : count;

    if (at == count)
        return 0;
    for (nfds_t i = 0; i < count; i++)
        fds[i].revents = 0;
    fds[at].revents = fds[at].events & (POLLIN | POLLRDNORM);
    return 1;
}

int turn_poll(uint64_t listeners, struct pollfd *fds, nfds_t count)
{
    struct pollfd both[TURN_FDS + LISTENERS_MAX];
    struct turn turn;
    unsigned is_readable = 0;
    int saved = errno;

    if (count > TURN_FDS || !begin(&turn, listeners))
        return 0;
    memcpy(both, fds, count * sizeof *fds);
    for (unsigned i = 0; i < turn.count; i++)
        both[count + i] = (struct pollfd){.fd = turn.shadows[i], .events = POLLIN};
    int ready = NEXT(poll)(both, count + turn.count, 0);
    if (ready < 0)
        return report_failure(saved);
    for (unsigned i = 0; i < turn.count; i++) {
        ready -= both[count + i].revents != 0;
        is_readable |= (both[count + i].revents == POLLIN ? 1u : 0) << i;
    }
    if (ready > 0) {
        memcpy(fds, both, count * sizeof *fds);
        return announce_check_poll(fds, count, ready);
    }
    return report_polled(choose(&turn, is_readable), fds, count);
}

/* The three sets of select(2), with room for the shadows. */
enum { READABLE, WRITABLE, URGENT, SETS };

static void give_back(fd_set *const asked[SETS], const fd_set answer[SETS], int count)
{
    for (int i = 0; i < SETS; i++)
        if (asked[i])
            memcpy(asked[i], &answer[i], turn_set_size(count));
}

static int add_shadows(const struct turn *turn, int count, fd_set *readable)
{
    int highest = count - 1;

    for (unsigned i = 0; i < turn->count; i++) {
        if (turn->shadows[i] >= FD_SETSIZE)
            continue;
        FD_SET(turn->shadows[i], readable);
        highest = turn->shadows[i] > highest ? turn->shadows[i] : highest;
    }
    return highest + 1;
}

/* Which of them are readable; they leave the set. */
static unsigned take_shadows(const struct turn *turn, fd_set *readable, int *ready)
{
    unsigned is_readable = 0;

    for (unsigned i = 0; i < turn->count; i++) {
        if (turn->shadows[i] >= FD_SETSIZE || !FD_ISSET(turn->shadows[i], readable))
            continue;
        FD_CLR(turn->shadows[i], readable);
        is_readable |= 1u << i;
        (*ready)--;
    }
    return is_readable;
}

static int report_selected(const struct vlisten *listener, int count, fd_set *const asked[SETS],
                           fd_set answer[SETS])
{
    int fd = listener ? atomic_load_explicit(&listener->fd, memory_order_relaxed) : -1;

    if (fd < 0 || fd >= count || !FD_ISSET(fd, asked[READABLE]))
        return 0;
    FD_SET(fd, &answer[READABLE]);
    give_back(asked, answer, count);
    return 1;
}

int turn_select(uint64_t listeners, int count, fd_set *readable, fd_set *writable, fd_set *urgent)
{
    fd_set *const asked[SETS] = {readable, writable, urgent};
    fd_set answer[SETS];
    struct timeval at_once = {0};
    struct turn turn;
    int saved = errno;

    if (count > FD_SETSIZE || !begin(&turn, listeners))
        return 0;
    memset(answer, 0, sizeof answer);
    for (int i = 0; i < SETS; i++)
        if (asked[i])
            memcpy(&answer[i], asked[i], turn_set_size(count));
    int reach = add_shadows(&turn, count, &answer[READABLE]);
    int ready =
        NEXT(select)(reach, &answer[READABLE], &answer[WRITABLE], &answer[URGENT], &at_once);
    if (ready < 0)
        return report_failure(saved);
    unsigned is_readable = take_shadows(&turn, &answer[READABLE], &ready);
    if (ready > 0)
        ready = announce_check_select(count, readable, &answer[READABLE], ready);
    if (ready > 0) {
        give_back(asked, answer, count);
        return ready;
    }
    return report_selected(choose(&turn, is_readable), count, asked, answer);
}
