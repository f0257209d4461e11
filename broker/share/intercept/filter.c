/* filter.c - see filter.h. A table and forty lines of BPF: a library for it would be one more
 * dependency of a program that needs libc alone. */
#include "broker/share/intercept/filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/process/bpf.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5) /* since Linux 5.19 */
#endif

#define X32_BIT 0x40000000u

/* By architecture, those of one together. The numbers of system calls never change. */
static const struct {
    uint32_t arch;
    uint32_t number;
    enum filter_call call;
} rows[] = {
    {AUDIT_ARCH_X86_64, 49, FILTER_BIND},       {AUDIT_ARCH_X86_64, 50, FILTER_LISTEN},
    {AUDIT_ARCH_X86_64, 87, FILTER_UNLINK},     {AUDIT_ARCH_X86_64, 263, FILTER_UNLINKAT},
    {AUDIT_ARCH_X86_64, 425, FILTER_IO_URING},  {AUDIT_ARCH_I386, 361, FILTER_BIND},
    {AUDIT_ARCH_I386, 363, FILTER_LISTEN},      {AUDIT_ARCH_I386, 102, FILTER_SOCKETCALL},
    {AUDIT_ARCH_I386, 10, FILTER_UNLINK},       {AUDIT_ARCH_I386, 301, FILTER_UNLINKAT},
    {AUDIT_ARCH_I386, 425, FILTER_IO_URING},    {AUDIT_ARCH_AARCH64, 200, FILTER_BIND},
    {AUDIT_ARCH_AARCH64, 201, FILTER_LISTEN},   {AUDIT_ARCH_AARCH64, 35, FILTER_UNLINKAT},
    {AUDIT_ARCH_AARCH64, 425, FILTER_IO_URING}, {AUDIT_ARCH_ARM, 282, FILTER_BIND},
    {AUDIT_ARCH_ARM, 284, FILTER_LISTEN},       {AUDIT_ARCH_ARM, 10, FILTER_UNLINK},
    {AUDIT_ARCH_ARM, 328, FILTER_UNLINKAT},     {AUDIT_ARCH_ARM, 425, FILTER_IO_URING},
    {AUDIT_ARCH_RISCV64, 200, FILTER_BIND},     {AUDIT_ARCH_RISCV64, 201, FILTER_LISTEN},
    {AUDIT_ARCH_RISCV64, 35, FILTER_UNLINKAT},  {AUDIT_ARCH_RISCV64, 425, FILTER_IO_URING},
};
#define ROWS (sizeof rows / sizeof rows[0])

enum filter_call filter_call_of(const struct seccomp_data *data)
{
    uint32_t number = (uint32_t)data->nr;

    if (data->arch == AUDIT_ARCH_X86_64)
        number &= ~X32_BIT;
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].arch == data->arch && rows[i].number == number)
            return rows[i].call;
    return FILTER_NONE;
}

/* --- the program --- */

/* The low half of the first argument says which call it is. */
static void put_socketcall(struct bpf_program *program, uint32_t number)
{
    bpf_put_if(program, number, 5);
    bpf_put_load_argument(program, 0);
    bpf_put(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_BIND, 1, 0));
    bpf_put_if(program, SYS_LISTEN, 1);
    bpf_put_return(program, SECCOMP_RET_USER_NOTIF);
    bpf_put_return(program, SECCOMP_RET_ALLOW);
}

static void put_row(struct bpf_program *program, size_t row)
{
    if (rows[row].call == FILTER_SOCKETCALL) {
        put_socketcall(program, rows[row].number);
        return;
    }
    bpf_put_if(program, rows[row].number, 1);
    bpf_put_return(program, rows[row].call == FILTER_IO_URING ? SECCOMP_RET_ERRNO | ENOSYS
                                                              : SECCOMP_RET_USER_NOTIF);
}

/* The rows of one architecture; returns the first of the next. */
static size_t put_arch(struct bpf_program *program, size_t row)
{
    uint32_t arch = rows[row].arch;
    unsigned short start = program->len;

    bpf_put_if(program, arch, 0);
    bpf_put_load(program, offsetof(struct seccomp_data, nr));
    if (arch == AUDIT_ARCH_X86_64)
        bpf_put(program, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~X32_BIT));
    for (; row < ROWS && rows[row].arch == arch; row++)
        put_row(program, row);
    bpf_put_return(program, SECCOMP_RET_ALLOW);
    program->at[start].jf = (uint8_t)(program->len - start - 1);
    return row;
}

static void build(struct bpf_program *program)
{
    program->len = 0;
    bpf_put_load(program, offsetof(struct seccomp_data, arch));
    for (size_t row = 0; row < ROWS;)
        row = put_arch(program, row);
    bpf_put_return(program, SECCOMP_RET_ALLOW);
}

/* --- installing it --- */

/* With the flag nothing but a deadly signal ends a call whose notification was received: a server
 * with many signals would have its bind notified again and again. */
static int install(const struct sock_fprog *program)
{
    unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
    long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                      flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, program);

    if (fd < 0 && errno == EINVAL)
        fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, program);
    return (int)fd;
}

int filter_install(void)
{
    struct bpf_program program;

    build(&program);
    struct sock_fprog filter = {program.len, program.at};
    int fd = install(&filter);
    if (fd >= 0 || errno != EACCES || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return fd;
    return install(&filter);
}

/* A kernel whose records are larger than ours would write over what is behind them. */
static bool has_fit_sizes(void)
{
    struct seccomp_notif_sizes sizes;

#if !defined(__x86_64__) && !defined(__i386__) && !defined(__aarch64__) && !defined(__arm__) &&    \
    !(defined(__riscv) && __riscv_xlen == 64)
    errno = ENOSYS; /* no row of the table is this machine's */
    return false;
#endif
    if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
        return false;
    errno = EOVERFLOW;
    return sizes.seccomp_notif <= FILTER_REQUEST_MAX &&
           sizes.seccomp_notif_resp <= FILTER_RESPONSE_MAX;
}

static _Noreturn void run_trial(void)
{
    bool had = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;

    if (!has_fit_sizes() || filter_install() < 0)
        _exit(errno);
    _exit(!had && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? FILTER_NO_NEW_PRIVS : 0);
}

int filter_try(void)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        run_trial();
    if (pid < 0)
        return errno;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EPERM; /* a filter that kills */
}
