/* clients.c - see clients.h. */
#include "broker/diagnose/clients.h"

#include <poll.h>
#include <sys/socket.h>

#include "broker/base/process/procfs.h"
#include "broker/diagnose/procnet.h"
#include "broker/pool/listener.h"
#include "broker/pool/worker.h"

/* A connection that came to one of the worker's listeners. */
static bool is_client(int fd, const struct worker *worker)
{
    const struct channel *channel;
    struct address name = {.len = sizeof name.storage};
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;

    if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0 ||
        getsockname(fd, (struct sockaddr *)&name.storage, &name.len) < 0)
        return false;
    LIST_FOREACH(channel, &worker->channels, of_worker)
        if (channel->listening && (address_overlaps(&channel->listener->bound, &name) ||
                                   address_equal(&channel->listener->bound, &name)))
            return true;
    return false;
}

static bool match_client(int fd, void *context)
{
    return is_client(fd, context);
}

bool clients_are_there(const struct worker *worker, pid_t pid)
{
    return procnet_has_socket(pid, match_client, (void *)(uintptr_t)worker);
}

static bool match_spoken(int fd, void *context)
{
    struct pollfd state = {.fd = fd, .events = POLLIN};

    return is_client(fd, context) && poll(&state, 1, 0) == 1 && (state.revents & POLLIN);
}

bool clients_have_spoken(const struct worker *worker)
{
    struct procfs_list tree;

    procfs_list_tree(worker->pid, &tree);
    for (unsigned i = 0; i < tree.count && i < CLIENTS_PROCESSES_MAX; i++)
        if (procnet_has_socket(tree.at[i], match_spoken, (void *)(uintptr_t)worker))
            return true;
    return false;
}

struct count {
    const struct worker *worker;
    uint64_t clients;
};

static bool count_client(int fd, void *context)
{
    struct count *count = context;

    count->clients += is_client(fd, count->worker);
    return false;
}

uint64_t clients_count(const struct worker *worker)
{
    struct count count = {.worker = worker};
    struct procfs_list tree;

    procfs_list_tree(worker->pid, &tree);
    for (unsigned i = 0; i < tree.count && i < CLIENTS_PROCESSES_MAX; i++)
        procnet_has_socket(tree.at[i], count_client, &count);
    return count.clients;
}
