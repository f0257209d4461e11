/* victim_early.c - calls before the C library is ready, and calls that the kernel refuses. */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "victim.h"

/* As gcc's sanitizers do: before any constructor, environ included. */
static void before_all(void)
{
    close(socket(AF_INET, SOCK_STREAM, 0));
}

__attribute__((section(".preinit_array"), used)) static void (*const early)(void) = before_all;

static void plain(int port, const char *argument)
{
    (void)argument;
    serve(make_listener(port));
}

static void refuse_close_range(int error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};

    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

static void without_close_range(int port, int error)
{
    int fd = make_listener(port);
    int first = MUST(open("/dev/null", O_RDONLY));
    int others[100];

    for (int i = 0; i < 100; i++)
        others[i] = MUST(open("/dev/null", O_RDONLY));
    refuse_close_range(error);
    errno = 0;
    CHECK(syscall(SYS_close_range, (long)fd, ~0L, 0L) < 0 && errno == error);
    CHECK(close_range((unsigned)fd, ~0U, 0) < 0 && errno == error);
    errno = 0;
    closefrom(first);
    CHECK(errno == 0);
    CHECK(fcntl(first, F_GETFD) < 0);
    for (int i = 0; i < 100; i++)
        CHECK(fcntl(others[i], F_GETFD) < 0);
    serve(fd);
}

static void not_known(int port, const char *argument)
{
    (void)argument;
    without_close_range(port, ENOSYS);
}

static void not_permitted(int port, const char *argument)
{
    (void)argument;
    without_close_range(port, EPERM);
}

static const struct victim_mode modes[] = {
    {"accept", plain},
    {"no-close-range-ENOSYS", not_known},
    {"no-close-range-EPERM", not_permitted},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return run_mode(modes, argc, argv);
}
