/*
 * victim_calls.c - calls on descriptors that are no business of the library's, between two marks
 * that strace(1) shows, for counting what it adds.
 *
 *   victim_calls bystander 0       alone
 *   victim_calls bystander PORT    after it has listened there and accepted a connection
 */
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/wait.h>

#include "victim.h"

static void mark(const char *name)
{
    (void)!write(-1, name, strlen(name));
}

static void listen_and_accept(int port)
{
    struct sockaddr_in addr = loopback(port);
    int fd = make_listener(port);
    int client_fd = MUST(socket(AF_INET, SOCK_STREAM, 0));

    MUST(connect(client_fd, (struct sockaddr *)&addr, sizeof addr));
    close(MUST(accept(fd, NULL, NULL)));
    close(client_fd);
}

static void copy_and_close(int fd)
{
    mark("dup");
    int copy_fd = dup(fd);
    dup2(fd, 40);
    dup2(fd, 40);
    dup3(fd, 41, O_CLOEXEC);
    fcntl(fd, F_DUPFD, 50);
    fcntl(fd, F_DUPFD_CLOEXEC, 60);
    mark("close");
    close(copy_fd);
    close(40);
    close(41);
    close_range(50, 70, 0);
}

static void set_flags(int fd)
{
    mark("flags");
    fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    fcntl(fd, F_GETFD);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    ioctl(fd, FIONREAD, &fd);
}

static void wait_for(int fd)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    struct timeval timeout = {.tv_usec = 1000};
    struct epoll_event event = {.events = EPOLLIN};
    fd_set readable;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

    for (int i = 0; i < 2; i++) { /* the first time it is asked whether the memory may be read */
        mark(i == 0 ? "asks" : "wait");
        poll(&polled, 1, 1);
        FD_ZERO(&readable);
        FD_SET(fd, &readable);
        select(fd + 1, &readable, NULL, NULL, &timeout);
    }
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    epoll_wait(epoll_fd, &event, 1, 1);
    epoll_pwait(epoll_fd, &event, 1, 1, NULL);
    close(epoll_fd);
}

static void use_connection(int fd, int peer_fd)
{
    struct sockaddr_in addr;
    socklen_t len = sizeof addr;
    char byte = 0;

    mark("connection");
    getpeername(fd, (struct sockaddr *)&addr, &len);
    getsockname(fd, (struct sockaddr *)&addr, &len);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &addr, &len);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &addr, sizeof(int));
    (void)!write(peer_fd, &byte, 1);
    recv(fd, &byte, 1, 0);
    shutdown(fd, SHUT_WR);
}

static void bystander(int port, const char *argument)
{
    struct sockaddr_in addr = loopback(0);
    socklen_t len = sizeof addr;
    int pipe_fds[2];

    (void)argument;
    if (port)
        listen_and_accept(port);
    int private_fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(bind(private_fd, (struct sockaddr *)&addr, sizeof addr));
    MUST(listen(private_fd, 4));
    MUST(getsockname(private_fd, (struct sockaddr *)&addr, &len));
    mark("begin");
    int file_fd = MUST(open("/dev/null", O_RDONLY));
    set_flags(file_fd);
    copy_and_close(file_fd);
    MUST(pipe(pipe_fds));
    set_flags(pipe_fds[0]);
    set_flags(pipe_fds[1]);
    copy_and_close(pipe_fds[1]);
    int client_fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
    mark("connect");
    MUST(connect(client_fd, (struct sockaddr *)&addr, len));
    int fd = MUST(accept4(private_fd, NULL, NULL, SOCK_CLOEXEC));
    set_flags(fd);
    wait_for(fd);
    use_connection(fd, client_fd);
    copy_and_close(fd);
    mark("end");
    close(fd);
    close(client_fd);
    close(private_fd);
    _exit(0);
}

static const struct victim_mode modes[] = {{"bystander", bystander}, {NULL, NULL}};

int main(int argc, char **argv)
{
    return run_mode(modes, argc, argv);
}
