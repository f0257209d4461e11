/* files.c - the calls that copy, switch and close descriptors, on a listener. */
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "calls.h"

int fcntl64(int fd, int command, ...);

static void copies(void)
{
    int fd = inet_listener();

    puts("dup and friends");
    int copy_fd = (int)SHOW(dup(fd));
    show_flags(copy_fd);
    show_name(copy_fd);
    SHOW(dup2(fd, 40));
    show_name(40);
    SHOW(dup2(fd, fd));
    SHOW(dup2(-1, 41));
    SHOW(dup2(999, fd));
    show_name(fd);
    SHOW(dup2(fd, -1));
    SHOW(dup2(fd, 1 << 30));
    SHOW(dup3(fd, 42, O_CLOEXEC));
    show_flags(42);
    SHOW(dup3(fd, fd, 0));
    SHOW(dup3(fd, 43, 12345));
    SHOW(dup3(-1, 43, 0));
    SHOW(fcntl(fd, F_DUPFD, 60));
    SHOW(fcntl(fd, F_DUPFD_CLOEXEC, 60));
    show_flags(61);
    SHOW(fcntl64(fd, F_DUPFD, 60));
    SHOW(fcntl(fd, F_DUPFD, -1));
    SHOW(fcntl(fd, F_DUPFD, 1 << 30));
    SHOW(fcntl(-1, F_DUPFD, 3));
    SHOW(dup(-1));
    SHOW(syscall(SYS_dup, fd));
    SHOW(close(fd));
    show_name(fd);
    int client_fd = client_of(60);
    int conn_fd = (int)SHOW(accept(42, NULL, NULL));
    close(conn_fd);
    close(client_fd);
    SHOW(close(copy_fd));
    SHOW(close_range(40, 100, 0));
    SHOW(close_range(5, 4, 0));
    SHOW(close_range(100, 200, 64));
    for (int i = 3; i < 12; i++)
        SHOW(fcntl(i, F_GETFD));
    closefrom(3);
}

static void switches(void)
{
    int on = 1;
    int value = -1;
    int fd = inet_listener();

    puts("fcntl and ioctl");
    show_flags(fd);
    SHOW(fcntl(fd, F_SETFD, FD_CLOEXEC));
    SHOW(fcntl(fd, F_SETFL, O_NONBLOCK));
    show_flags(fd);
    SHOW(accept(fd, NULL, NULL));
    SHOW(fcntl(fd, F_SETFL, O_APPEND));
    show_flags(fd);
    SHOW(fcntl64(fd, F_SETFL, 0));
    SHOW(ioctl(fd, FIONBIO, &on));
    show_flags(fd);
    SHOW(ioctl(fd, FIONBIO, BAD));
    SHOW(ioctl(fd, FIOASYNC, &on));
    show_flags(fd);
    SHOW(fcntl(fd, F_GETOWN));
    SHOW(fcntl(fd, F_SETOWN, getpid()));
    printf("  owner is %s\n", fcntl(fd, F_GETOWN) == getpid() ? "PID" : "another");
    SHOW(fcntl(fd, F_GETSIG));
    SHOW(fcntl(fd, F_SETSIG, 40));
    SHOW(fcntl(fd, F_GETSIG));
    on = 0;
    SHOW(ioctl(fd, FIONBIO, &on));
    SHOW(ioctl(fd, FIOASYNC, &on));
    SHOW(ioctl(fd, FIOCLEX));
    SHOW(ioctl(fd, FIONCLEX));
    show_flags(fd);
    SHOW(ioctl(fd, FIONREAD, &value));
    SHOW(ioctl(fd, TIOCOUTQ, &value));
    SHOW(ioctl(fd, TCGETS, &value));
    SHOW(ioctl(-1, FIONBIO, &on));
    SHOW(fcntl(-1, F_GETFL));
    SHOW(fcntl(-1, F_SETFL, 0));
    SHOW(fcntl(fd, 9999));
    SHOW(fcntl(fd, F_GETLK, BAD));
    DIFFERS(send(fd, "x", 1, MSG_NOSIGNAL));
    SHOW(recv(fd, &value, sizeof value, MSG_DONTWAIT));
    SHOW(lseek(fd, 0, SEEK_CUR));
    struct stat info;
    SHOW(fstat(fd, &info));
    printf("  socket: %d\n", S_ISSOCK(info.st_mode));
    SHOW(close(fd));
    SHOW(close(fd));
    SHOW(close(-1));
    SHOW(syscall(SYS_close, -1));
    SHOW(syscall(SYS_close, 999999));
}

void cases_files(void)
{
    copies();
    switches();
}
