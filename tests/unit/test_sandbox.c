/* test_sandbox.c - broker/base/process/sandbox.c: what the kernel refuses behind it, and what not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/process/sandbox.h"
#include "unit.h"

/* Runs in a child of its own: there is no way back. */
static bool in_sandbox(bool writes_files, bool (*holds)(void))
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        _exit(sandbox_enter(writes_files) && holds() ? 0 : 1);
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

static bool is_refused(long result)
{
    return result < 0 && errno == EPERM;
}

static bool refuses(void)
{
    char *const argv[] = {(char *)"true", NULL};

    return is_refused(open("/tmp/sshim-sandbox", O_WRONLY | O_CREAT, 0600)) &&
           is_refused(open("/dev/null", O_RDWR)) && is_refused(unlink("/tmp/sshim-sandbox")) &&
           is_refused(rename("/tmp/sshim-sandbox", "/tmp/sshim-sandbox2")) &&
           is_refused(execv("/bin/true", argv)) && is_refused(setuid(0)) &&
           is_refused(chmod("/tmp", 0777)) && is_refused(chroot("/"));
}

static bool permits(void)
{
    int ends[2];
    int status;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pid_t pid = fork();

    if (pid == 0)
        _exit(7);
    return fd >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 &&
           write(ends[0], "x", 1) == 1 && waitpid(pid, &status, 0) == pid &&
           WEXITSTATUS(status) == 7;
}

static bool writes(void)
{
    return open("/dev/null", O_RDWR) >= 0 && unlink("/tmp/sshim-sandbox/none") < 0 &&
           errno != EPERM;
}

static void test_refuses(void)
{
    CHECK(in_sandbox(false, refuses));
}

static void test_permits(void)
{
    CHECK(in_sandbox(false, permits));
}

static void test_writes(void)
{
    CHECK(in_sandbox(true, writes));
}

#if defined(__x86_64__) || defined(__aarch64__) || (defined(__riscv) && __riscv_xlen == 64)
#define IS_KNOWN true
#else
#define IS_KNOWN false
#endif

static void test_unknown(void)
{
    CHECK(!sandbox_enter(false) && errno == ENOSYS);
    CHECK(open("/dev/null", O_RDWR) >= 0);
}

int main(void)
{
    if (!IS_KNOWN) {
        unit_run("sandbox: of a machine whose calls are not known nothing is refused",
                 test_unknown);
        return unit_end();
    }
    unit_run("sandbox: it refuses to write, to execute, to become another", test_refuses);
    unit_run("sandbox: it permits what a broker does", test_permits);
    unit_run("sandbox: it permits to write files where the operator wants some", test_writes);
    return unit_end();
}
