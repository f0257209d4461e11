/* sandbox.c - see sandbox.h. For how the calls were found see SECURITY.md. */
#include "broker/base/process/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/base/process/bpf.h"

#if defined(__x86_64__) && !defined(__ILP32__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define OUR_ARCH AUDIT_ARCH_RISCV64
#else
#define OUR_ARCH 0 /* not known */
#endif

#define NAMESPACES                                                                                 \
    (CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |     \
     CLONE_NEWCGROUP)
#define WRITES (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)

static const int permitted[] = {
    /* descriptors */
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_lseek,
    SYS_close,
    SYS_close_range,
    SYS_fcntl,
    SYS_dup,
    SYS_dup3,
    SYS_pipe2,
    SYS_ioctl,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_ppoll,
    SYS_signalfd4,
    SYS_memfd_create,
    SYS_ftruncate,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    /* sockets */
    SYS_socket,
    SYS_socketpair,
    SYS_bind,
    SYS_listen,
    SYS_connect,
    SYS_accept4,
    SYS_getsockname,
    SYS_getpeername,
    SYS_setsockopt,
    SYS_getsockopt,
    SYS_sendmsg,
    SYS_sendto,
    SYS_recvmsg,
    SYS_recvfrom,
    SYS_shutdown,
    /* what is said about files, and about processes in /proc */
    SYS_fstat,
#ifdef SYS_newfstatat
    SYS_newfstatat,
#else
    SYS_fstatat64, /* 32 bits */
#endif
    SYS_statx,
    SYS_readlinkat,
    SYS_getdents64,
    SYS_faccessat,
    SYS_getcwd,
    /* processes */
    SYS_kill,
    SYS_tgkill,
    SYS_pidfd_open,
    SYS_pidfd_send_signal,
    SYS_pidfd_getfd,
    SYS_process_vm_readv,
    SYS_wait4,
    SYS_waitid,
    SYS_exit,
    SYS_exit_group,
    SYS_getpid,
    SYS_getppid,
    SYS_gettid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getsid,
    SYS_setsid,
    SYS_getpgid,
    SYS_prctl,
    SYS_sched_getscheduler,
    SYS_sched_getattr,
    SYS_sched_setattr,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_prlimit64,
    SYS_getrusage,
    /* signals and time */
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    SYS_restart_syscall,
    SYS_timer_create,
    SYS_timer_settime,
    SYS_setitimer,
    SYS_clock_gettime,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    /* memory */
    SYS_brk,
#ifdef SYS_mmap
    SYS_mmap,
#endif
#ifdef SYS_mmap2
    SYS_mmap2,
#endif
    SYS_munmap,
    SYS_mprotect,
    SYS_mremap,
    SYS_madvise,
    SYS_futex,
    SYS_getrandom,
    SYS_set_robust_list,
    SYS_uname,
#ifdef __x86_64__ /* older names of calls above, which the C library uses where they are */
    SYS_poll,
    SYS_epoll_wait,
    SYS_dup2,
    SYS_readlink,
    SYS_access,
    SYS_stat,
    SYS_lstat,
    SYS_getpgrp,
    SYS_time,
#endif
};

/* Calls that change files: where the operator wants the broker to keep some. */
static const int writing[] = {
    SYS_openat,   SYS_renameat2, SYS_unlinkat,
#ifdef SYS_renameat
    SYS_renameat, /* riscv64 has none */
#endif
#ifdef SYS_rename /* older names of the same */
    SYS_rename,   SYS_unlink,
#endif
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void put_permitted(struct bpf_program *program, int number)
{
    bpf_put_if(program, (uint32_t)number, 1);
    bpf_put_return(program, SECCOMP_RET_ALLOW);
}

/* Permitted if none of these bits is in that argument. */
static void put_limited(struct bpf_program *program, int number, unsigned argument, uint32_t bits)
{
    bpf_put_if(program, (uint32_t)number, 5);
    bpf_put_load_argument(program, argument);
    bpf_put(program, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits));
    bpf_put_if(program, 0, 1);
    bpf_put_return(program, SECCOMP_RET_ALLOW);
    bpf_put_return(program, SECCOMP_RET_ERRNO | EPERM);
}

static void build(struct bpf_program *program, bool writes_files)
{
    bpf_put_load(program, offsetof(struct seccomp_data, arch));
    bpf_put_if(program, OUR_ARCH, 1);
    bpf_put_load(program, offsetof(struct seccomp_data, nr)); /* else no number fits: the arch */
    for (size_t i = 0; i < COUNT(permitted); i++)
        put_permitted(program, permitted[i]);
    for (size_t i = 0; writes_files && i < COUNT(writing); i++)
        put_permitted(program, writing[i]);
    put_limited(program, SYS_openat, 2, WRITES);
    put_limited(program, SYS_clone, 0, NAMESPACES);
    bpf_put_if(program, SYS_clone3, 1); /* the C library takes clone then */
    bpf_put_return(program, SECCOMP_RET_ERRNO | ENOSYS);
    bpf_put_return(program, SECCOMP_RET_ERRNO | EPERM);
}

bool sandbox_enter(bool writes_files)
{
    struct bpf_program program = {.len = 0};

    if (!OUR_ARCH) {
        errno = ENOSYS;
        return false;
    }
    build(&program, writes_files);
    struct sock_fprog filter = {program.len, program.at};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0;
}
