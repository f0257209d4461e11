/*
 * hooks_exec.c - the exported calls that run another program, or load a module. A listener that
 * survives exec is a channel, which only the shim can accept from. If a master cleans the
 * environment of a program that inherits a shared listener, the shim's variables are put back, into
 * that environment alone.
 */
#include <alloca.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "shim/base/env.h"
#include "shim/base/fdmap.h"
#include "shim/base/next.h"
#include "shim/base/userptr.h"
#include "shim/hooks/hooks.h"
#include "shim/listen/recognise.h"
#include "shim/record/vlisten.h"

/* A vfork child may have put a listener on a number that the table does not know: the low ones are
 * looked at. */
#define LOW_FDS 64

static bool is_handed_down(int fd)
{
    int flags = NEXT(fcntl)(fd, F_GETFD);

    if (flags < 0 || (flags & FD_CLOEXEC))
        return false;
    return fdmap_get(fd).kind == FDMAP_LISTENER || recognise_is_channel(fd);
}

/* Some file actions of posix_spawn(3) put a listener on another number: what is closed on exec here
 * may be open there. The actions themselves cannot be read. */
static _Atomic bool is_spawn_planned;

static bool hands_down_listener(bool by_actions)
{
    if (by_actions && atomic_load(&is_spawn_planned))
        return true;
    for (int fd = 0; fd < LOW_FDS; fd++)
        if (is_handed_down(fd))
            return true;
    for (int fd = LOW_FDS; (fd = fdmap_find(fd, FDMAP_LISTENER)) >= 0; fd++)
        if (is_handed_down(fd))
            return true;
    return false;
}

/* Whether text begins with the name of setting ("NAME=value"). Looks at no byte behind the first
 * that differs: the text may end where its page does. */
static bool has_name_of(const char *text, const char *setting, bool *is_readable)
{
    for (;; text++, setting++) {
        *is_readable = userptr_is_readable(text, 1, USERPTR_OTHER);
        if (!*is_readable || *text != *setting)
            return false;
        if (*setting == '=')
            return true;
    }
}

#define ALL_KEPT ((1u << ENV_KEPT_MAX) - 1)

/* Which of the shim's variables need not be added, as bits. All if the list or a string of it
 * cannot be read: the kernel answers that with EFAULT. */
static unsigned find_kept(char *const *variables)
{
    bool is_readable = true;
    unsigned found = 0;

    for (unsigned i = 0; i < ENV_KEPT_MAX; i++)
        found |= env_get_kept(i) ? 0 : 1u << i;
    for (; variables && found != ALL_KEPT; variables++) {
        if (!userptr_is_readable(variables, sizeof *variables, USERPTR_OTHER))
            return ALL_KEPT;
        if (!*variables)
            break;
        for (unsigned i = 0; i < ENV_KEPT_MAX && is_readable; i++)
            if (!(found & 1u << i) && has_name_of(*variables, env_get_kept(i), &is_readable))
                found |= 1u << i;
        if (!is_readable)
            return ALL_KEPT;
    }
    return found;
}

/* A program that joins as well is to know whose relative it is, and whether balancers tell whose
 * its connection is; one that cannot is left alone. */
static unsigned find_needless_of_relative(unsigned found)
{
    unsigned needed = 1u << ENV_KEPT_PROXIED | (env.is_tree_root ? 1u << ENV_KEPT_TREE : 0);

    return found & 1u << ENV_KEPT_BROKER ? ALL_KEPT & ~(needed & ~found) : ALL_KEPT;
}

static unsigned find_needless(char *const *variables, bool by_actions)
{
    if (!env_managed())
        return ALL_KEPT;
    bool has_listened = atomic_load_explicit(&vlisten_any, memory_order_relaxed);
    if (!has_listened && !env.is_tree_root)
        return ALL_KEPT;
    atomic_fetch_add(&vlisten_forks, 1);
    int saved = errno;
    unsigned found = find_kept(variables);

    if (found != ALL_KEPT && !(has_listened && hands_down_listener(by_actions)))
        found = find_needless_of_relative(found);
    errno = saved;
    return found;
}

static size_t count(char *const *list)
{
    size_t n = 0;

    while (list && list[n])
        n++;
    return n;
}

/* Room for the caller's variables and ours. */
static char **complete(char *const *variables, unsigned needless, char **room)
{
    size_t n = 0;

    for (; variables && variables[n]; n++)
        room[n] = variables[n];
    for (unsigned i = 0; i < ENV_KEPT_MAX; i++)
        if (!(needless & 1u << i))
            room[n++] = (char *)(uintptr_t)env_get_kept(i);
    room[n] = NULL;
    return room;
}

/* In the caller's frame: nothing may be allocated, and exec does not return. */
#define COMPLETE_FOR(completed, variables, by_actions)                                             \
    char *const *completed = (variables);                                                          \
    unsigned needless_ = find_needless(completed, by_actions);                                     \
    if (needless_ != ALL_KEPT) {                                                                   \
        void *room_ = alloca((count(completed) + ENV_KEPT_MAX + 1) * sizeof(char *));              \
        completed = complete(completed, needless_, room_);                                         \
    }
#define COMPLETE(completed, variables) COMPLETE_FOR(completed, variables, false)

/*
 * What a vfork child executes is one more holder of the listeners that it inherits, which no atfork
 * handler has counted: the parent may close its own before that program asks for them.
 */
static void count_heir(uint32_t change)
{
    uint64_t counted[VLISTEN_MAX / 64] = {0};

    if (!env_managed() || !atomic_load_explicit(&vlisten_any, memory_order_relaxed))
        return;
    int saved = errno;
    for (int fd = vlisten_is_owner() ? -1 : 0; fd >= 0; fd++) {
        fd = fdmap_find(fd, FDMAP_LISTENER);
        struct vlisten *listener = fd < 0 ? NULL : vlisten_known(fd);
        if (!listener)
            break;
        uint64_t *word = &counted[vlisten_index(listener) / 64];
        uint64_t bit = UINT64_C(1) << vlisten_index(listener) % 64;
        if ((*word & bit) || !is_handed_down(fd))
            continue;
        *word |= bit;
        atomic_fetch_add(&listener->board->worker.holders, change);
    }
    errno = saved;
}

/* exec only returns if it fails. */
#define EXECUTE(call)                                                                              \
    do {                                                                                           \
        count_heir(1);                                                                             \
        int result_ = (call);                                                                      \
        count_heir((uint32_t)-1);                                                                  \
        return result_;                                                                            \
    } while (0)

SSHIM_EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
    COMPLETE(variables, envp);
    EXECUTE(NEXT(execve)(path, argv, variables));
}

SSHIM_EXPORT int execv(const char *path, char *const argv[])
{
    COMPLETE(variables, environ);
    EXECUTE(NEXT(execve)(path, argv, variables));
}

SSHIM_EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
    COMPLETE(variables, envp);
    EXECUTE(NEXT(execvpe)(file, argv, variables));
}

SSHIM_EXPORT int execvp(const char *file, char *const argv[])
{
    COMPLETE(variables, environ);
    EXECUTE(NEXT(execvpe)(file, argv, variables));
}

SSHIM_EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
    COMPLETE(variables, envp);
    EXECUTE(NEXT(fexecve)(fd, argv, variables));
}

/* The arguments of execl and its like as an array, in the caller's frame. */
#define TAKE_LIST(first, argv, list)                                                               \
    size_t count_ = 1;                                                                             \
    va_start(list, first);                                                                         \
    while (va_arg(list, char *))                                                                   \
        count_++;                                                                                  \
    va_end(list);                                                                                  \
    char **argv = (char **)alloca((count_ + 1) * sizeof(char *));                                  \
    argv[0] = (char *)(uintptr_t)(first);                                                          \
    va_start(list, first);                                                                         \
    for (size_t i_ = 1; i_ <= count_; i_++)                                                        \
    argv[i_] = va_arg(list, char *)

SSHIM_EXPORT int execl(const char *path, const char *arg, ...)
{
    va_list list;
    TAKE_LIST(arg, argv, list);
    va_end(list);
    return execv(path, argv);
}

SSHIM_EXPORT int execlp(const char *file, const char *arg, ...)
{
    va_list list;
    TAKE_LIST(arg, argv, list);
    va_end(list);
    return execvp(file, argv);
}

SSHIM_EXPORT int execle(const char *path, const char *arg, ...)
{
    va_list list;
    TAKE_LIST(arg, argv, list);
    char *const *envp = va_arg(list, char *const *);
    va_end(list);
    return execve(path, argv, envp);
}

SSHIM_EXPORT int execveat(int folder_fd, const char *path, char *const argv[], char *const envp[],
                          int flags)
{
    COMPLETE(variables, envp);
    EXECUTE(NEXT(execveat)(folder_fd, path, argv, variables, flags));
}

SSHIM_EXPORT int posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *actions, int fd,
                                                  int new_fd)
{
    int saved = errno;

    if (env_managed() && atomic_load_explicit(&vlisten_any, memory_order_relaxed) && fd >= 0 &&
        (fdmap_get(fd).kind == FDMAP_LISTENER || recognise_is_channel(fd)))
        atomic_store(&is_spawn_planned, true);
    errno = saved;
    return NEXT(posix_spawn_file_actions_adddup2)(actions, fd, new_fd);
}

SSHIM_EXPORT int posix_spawn(pid_t *restrict pid, const char *restrict path,
                             const posix_spawn_file_actions_t *restrict actions,
                             const posix_spawnattr_t *restrict attributes, char *const argv[],
                             char *const envp[])
{
    COMPLETE_FOR(variables, envp, actions != NULL);
    return NEXT(posix_spawn)(pid, path, actions, attributes, argv, variables);
}

SSHIM_EXPORT int posix_spawnp(pid_t *restrict pid, const char *restrict file,
                              const posix_spawn_file_actions_t *restrict actions,
                              const posix_spawnattr_t *restrict attributes, char *const argv[],
                              char *const envp[])
{
    COMPLETE_FOR(variables, envp, actions != NULL);
    return NEXT(posix_spawnp)(pid, file, actions, attributes, argv, variables);
}

SSHIM_EXPORT int pidfd_spawn(int *restrict pidfd, const char *restrict path,
                             const posix_spawn_file_actions_t *restrict actions,
                             const posix_spawnattr_t *restrict attributes, char *const argv[],
                             char *const envp[])
{
    COMPLETE_FOR(variables, envp, actions != NULL);
    int result = NEXT_NEW(pidfd_spawn)(pidfd, path, actions, attributes, argv, variables);
    return result < 0 ? ENOSYS : result; /* a C library without it */
}

SSHIM_EXPORT int pidfd_spawnp(int *restrict pidfd, const char *restrict file,
                              const posix_spawn_file_actions_t *restrict actions,
                              const posix_spawnattr_t *restrict attributes, char *const argv[],
                              char *const envp[])
{
    COMPLETE_FOR(variables, envp, actions != NULL);
    int result = NEXT_NEW(pidfd_spawnp)(pidfd, file, actions, attributes, argv, variables);
    return result < 0 ? ENOSYS : result; /* a C library without it */
}

/* --- dlopen --- */

/* What is loaded with RTLD_DEEPBIND finds libc's calls before ours, and a server whose sockets are
 * in such a module would listen past the broker. */
#ifndef RTLD_DEEPBIND
#define RTLD_DEEPBIND 0
#endif

/* The call must stay the last one, and become a jump with any flags of the build: libc reads its
 * return address to find the object whose search path and namespace count. */
#ifdef __clang__
#define RETURN_BY_JUMP __attribute__((musttail)) return
#else
#define RETURN_BY_JUMP return
__attribute__((optimize("O2", "optimize-sibling-calls")))
#endif
SSHIM_EXPORT void *dlopen(const char *path, int flags)
{
    RETURN_BY_JUMP NEXT(dlopen)(path, env_managed() ? flags & ~RTLD_DEEPBIND : flags);
}
