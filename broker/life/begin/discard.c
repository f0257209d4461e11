/* discard.c - see discard.h. */
#include "broker/life/begin/discard.h"

#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "broker/base/process/helpers.h"

#define PROCESSES_MAX 64
#define LIFE_MS 5
#define LOOK_US 100
#define NOT_YET (-1) /* no flags of recvmsg(2) */

/* The descriptors are closed when recvmsg(2) returns, so its process cannot tell that the datagram
 * is taken. But the kernel has written the flags by then, to memory that both have. */
static struct msghdr *shared;
static pid_t processes[PROCESSES_MAX]; /* 0: a free place */

int discard_init(void)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared == MAP_FAILED ? -1 : 0;
}

static _Noreturn void receive(int socket_fd)
{
    helpers_enter("sshim-receiver");
    socket_fd = helpers_keep_one(socket_fd);
    helpers_end_in(LIFE_MS);
    recvmsg(socket_fd, shared, MSG_DONTWAIT);
    _exit(0);
}

static bool is_taken(void)
{
    return *(const volatile int *)&shared->msg_flags != NOT_YET;
}

static pid_t *find_place(void)
{
    helpers_bury(processes, PROCESSES_MAX);
    for (int i = 0; i < PROCESSES_MAX; i++)
        if (!processes[i])
            return &processes[i];
    return NULL;
}

bool discard_next(int socket_fd)
{
    pid_t *place = find_place();

    if (!place)
        return false;
    *shared = (struct msghdr){.msg_flags = NOT_YET};
    pid_t pid = helpers_fork(0);
    if (pid == 0)
        receive(socket_fd);
    if (pid < 0)
        return false;
    *place = pid;
    while (!is_taken() && !helpers_bury(place, 1))
        usleep(LOOK_US);
    return is_taken();
}

int discard_count(void)
{
    int count = 0;

    helpers_bury(processes, PROCESSES_MAX);
    for (int i = 0; i < PROCESSES_MAX; i++)
        count += processes[i] != 0;
    return count;
}
