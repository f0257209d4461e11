/* test_channel.c - which descriptor the broker takes for the worker's end of a channel. */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/pool/listener.h"
#include "unit.h"

static struct listener listener = {.canonical_fd = -1};

/* Closed by the worker, and let go of by us; somebody holds *worker_fd. */
static struct channel *make_closed(int *worker_fd)
{
    struct channel *channel = channel_create(&listener, NULL, worker_fd);

    CHECK(channel != NULL && *worker_fd >= 0);
    channel->closed = true;
    CHECK(channel_let_go(channel));
    return channel;
}

static void its_own_end_is_taken_back(void)
{
    int worker_fd;
    struct channel *channel = make_closed(&worker_fd);

    CHECK(channel_take_back(channel, worker_fd));
    CHECK(!channel->closed && channel->their_fd == worker_fd);
    channel_destroy(channel);
}

static void is_refused(int fd)
{
    int worker_fd;
    struct channel *channel = make_closed(&worker_fd);
    struct stat info;

    CHECK(fd >= 0 && fstat(fd, &info) == 0);
    channel->their_ino = info.st_ino; /* as it may happen to be */
    CHECK(!channel_take_back(channel, fd));
    CHECK(channel->closed && channel->their_fd == -1);
    close(fd);
    close(worker_fd);
    channel_destroy(channel);
}

static void a_file_with_the_same_inode_number_is_not_it(void)
{
    is_refused(open("/proc/self/exe", O_RDONLY));
}

static void a_socket_of_another_type_is_not_it(void)
{
    is_refused(socket(AF_UNIX, SOCK_STREAM, 0));
}

int main(void)
{
    unit_run("channel: the worker's own end is taken back", its_own_end_is_taken_back);
    unit_run("channel: a file with the same inode number is not it",
             a_file_with_the_same_inode_number_is_not_it);
    unit_run("channel: a socket of another type is not it", a_socket_of_another_type_is_not_it);
    return unit_end();
}
