/*
 * A thread of a worker sleeps in epoll_wait(2) while it writes the events, to memory of a file
 * system that does not answer. So whoever reads /proc/PID/fdinfo of that epoll descriptor waits for
 * its mutex, and no signal ends that. The worker listens, never accepts, and has an io_uring(7): it
 * looks as if it waited by that.
 *
 * worker_hung_epoll FILE
 */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "hostile.h"

static void open_ring(void)
{
    struct io_uring_params params = {0};

    if (syscall(SYS_io_uring_setup, 1, &params) < 0)
        perror("io_uring_setup"); /* without a ring nothing may be read, either */
}

int main(int argc, char **argv)
{
    int ends[2];
    struct epoll_event event = {.events = EPOLLIN};
    int epoll_fd = epoll_create1(0);

    if (argc < 2)
        return 2;
    alarm(60);
    open_ring();
    int file_fd = open(argv[1], O_RDONLY);
    void *events = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, file_fd, 0);
    if (file_fd < 0 || events == MAP_FAILED || pipe(ends) < 0 || write(ends[1], "", 1) != 1 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, ends[0], &event) < 0)
        die(argv[1]);
    puts("attacks");
    fflush(stdout);
    epoll_wait(epoll_fd, events, 1, -1);
    return 1;
}
