/* test_fdpass.c - proto/fdpass.c against the kernel: one datagram, one descriptor, nothing leaks.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/fdpass.h"
#include "unit.h"

static int pair[2];
static char bytes[64];

static int count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void open_pair(void)
{
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
}

static void close_pair(void)
{
    close(pair[0]);
    close(pair[1]);
}

static bool is_same_file(int a_fd, int b_fd)
{
    struct stat a;
    struct stat b;

    return fstat(a_fd, &a) == 0 && fstat(b_fd, &b) == 0 && a.st_ino == b.st_ino &&
           a.st_dev == b.st_dev;
}

static void passes_bytes_and_fd(void)
{
    int fd = -1;
    int truncated = -1;

    open_pair();
    CHECK(fdpass_send(pair[0], "hello", 5, pair[0], 0) == 0);
    CHECK(fdpass_recv(pair[1], bytes, sizeof bytes, &fd, MSG_CMSG_CLOEXEC, &truncated) == 5);
    CHECK(memcmp(bytes, "hello", 5) == 0);
    CHECK(fd >= 0 && is_same_file(fd, pair[0]));
    CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK(truncated == 0);
    close(fd);
    CHECK(fdpass_send(pair[0], "hello", 5, pair[0], 0) == 0);
    CHECK(fdpass_recv(pair[1], bytes, sizeof bytes, &fd, 0, NULL) == 5);
    CHECK(fcntl(fd, F_GETFD) == 0);
    close(fd);
    close_pair();
}

static void passes_bytes_alone(void)
{
    int fd = 99;
    int truncated = -1;

    open_pair();
    CHECK(fdpass_send(pair[0], "x", 1, -1, 0) == 0);
    CHECK(fdpass_recv(pair[1], bytes, sizeof bytes, &fd, 0, &truncated) == 1);
    CHECK(fd == -1 && truncated == 0);
    close_pair();
}

/* More descriptors than fdpass ever sends. */
static void send_many(int count)
{
    char space[CMSG_SPACE(sizeof(int) * 8)] = {0};
    struct iovec part = {(void *)"m", 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = space,
                             .msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
    for (int i = 0; i < count; i++)
        memcpy(CMSG_DATA(header) + sizeof(int) * (size_t)i, &pair[0], sizeof(int));
    CHECK(sendmsg(pair[0], &message, 0) == 1);
}

static void surplus_fds_do_not_leak(void)
{
    for (int count = 2; count <= 8; count++) {
        int fd = -1;
        int truncated = 0;
        open_pair();
        int before = count_fds();
        send_many(count);
        CHECK(fdpass_recv(pair[1], bytes, sizeof bytes, &fd, 0, &truncated) == 1);
        CHECK(truncated);
        if (fd >= 0)
            close(fd);
        CHECK(count_fds() == before);
        close_pair();
    }
}

static void long_datagrams_are_told(void)
{
    char big[200] = {0};
    int fd;
    int truncated = 0;

    open_pair();
    CHECK(fdpass_send(pair[0], big, sizeof big, -1, 0) == 0);
    CHECK(fdpass_recv(pair[1], bytes, sizeof bytes, &fd, 0, &truncated) == (ssize_t)sizeof bytes);
    CHECK(truncated);
    CHECK(fdpass_send(pair[0], "x", 1, -1, 0) == 0);
    CHECK(fdpass_recv(pair[1], bytes, sizeof bytes, &fd, 0, &truncated) == 1);
    CHECK(!truncated);
    close_pair();
}

static void a_full_table_is_told(void)
{
    struct rlimit limit;
    int fd = 5;
    int truncated = 0;

    open_pair();
    CHECK(fdpass_send(pair[0], "x", 1, pair[0], 0) == 0);
    getrlimit(RLIMIT_NOFILE, &limit);
    struct rlimit none = {0, limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    CHECK(fdpass_recv(pair[1], bytes, sizeof bytes, &fd, 0, &truncated) == 1);
    setrlimit(RLIMIT_NOFILE, &limit);
    CHECK(fd == -1 && truncated);
    close_pair();
}

static void tells_errors(void)
{
    int fd;
    int sent = 0;

    open_pair();
    CHECK(fdpass_recv(pair[1], bytes, sizeof bytes, &fd, MSG_DONTWAIT, NULL) == -1);
    CHECK(errno == EAGAIN && fd == -1);
    while (fdpass_send(pair[0], "x", 1, pair[0], MSG_DONTWAIT) == 0)
        sent++;
    CHECK(errno == EAGAIN);
    CHECK(sent > 100);
    close(pair[1]);
    CHECK(fdpass_send(pair[0], "x", 1, -1, 0) == -1); /* and no SIGPIPE */
    CHECK(errno == EPIPE || errno == ECONNRESET);
    close(pair[0]);
}

static void end_of_file_is_zero(void)
{
    int fd = 7;

    open_pair();
    close(pair[0]);
    CHECK(fdpass_recv(pair[1], bytes, sizeof bytes, &fd, 0, NULL) == 0);
    CHECK(fd == -1);
    close(pair[1]);
}

int main(void)
{
    unit_run("fdpass: bytes and a descriptor arrive together", passes_bytes_and_fd);
    unit_run("fdpass: bytes arrive alone", passes_bytes_alone);
    unit_run("fdpass: surplus descriptors are dropped by the kernel, none leaks",
             surplus_fds_do_not_leak);
    unit_run("fdpass: a datagram that is too long is told", long_datagrams_are_told);
    unit_run("fdpass: a descriptor lost to a full table is told", a_full_table_is_told);
    unit_run("fdpass: EAGAIN, EPIPE come back, SIGPIPE does not", tells_errors);
    unit_run("fdpass: end of file is 0", end_of_file_is_zero);
    return unit_end();
}
