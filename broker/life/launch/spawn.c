/* spawn.c - see spawn.h. */
#include "broker/life/launch/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/syscall.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/process/deputy.h"
#include "broker/cli/options/ports.h"
#include "broker/handout/front/front.h"
#include "broker/life/launch/original.h"
#include "broker/life/launch/output.h"
#include "broker/life/launch/surroundings.h"
#include "broker/pool/session/session.h"
#include "proto/fdpass.h"

static int (*install_filter)(void);
static bool has_user, has_group;
static const char *user_name;
static uid_t run_uid;
static gid_t run_gid;

static void run_order(const void *bytes);

void spawn_init(void)
{
    deputy_set(DEPUTY_WORKER, run_order);
}

static bool may_change_user(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};
    uint32_t wanted = 1u << CAP_SETUID | 1u << CAP_SETGID;

    return syscall(SYS_capget, &head, data) == 0 && (data[0].effective & wanted) == wanted;
}

int spawn_resolve_user(const char *user, const char *group)
{
    const struct passwd *entry = user ? getpwnam(user) : NULL;
    const struct group *group_entry = group ? getgrnam(group) : NULL;

    if ((user && !entry) || (group && !group_entry)) {
        log_error("there is no %s '%s'; give the name of one that exists",
                  user && !entry ? "user" : "group", user && !entry ? user : group);
        return -1;
    }
    if ((user || group) && !deputy_does_all() && !may_change_user()) {
        log_error("only root can run workers as another %s: start sshim as root, or leave --%s out",
                  user ? "user" : "group", user ? "user" : "group");
        return -1;
    }
    has_user = user != NULL;
    has_group = group != NULL;
    user_name = user;
    run_uid = entry ? entry->pw_uid : geteuid();
    run_gid = group_entry ? group_entry->gr_gid : entry ? entry->pw_gid : getegid();
    return 0;
}

void spawn_set_filter(int (*install)(void))
{
    install_filter = install;
}

uid_t spawn_uid(void)
{
    return run_uid;
}

gid_t spawn_gid(void)
{
    return run_gid;
}

/* All of these run in the child, where leaking is fine. */

static _Noreturn void end(int error_fd, const struct launch_failure *failure)
{
    ssize_t told = write(error_fd, failure, sizeof *failure);
    _exit(told < 0 || failure->error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

static _Noreturn void fail(int error_fd, enum launch_step step)
{
    struct launch_failure failure = {.error = errno, .step = (int)step};

    end(error_fd, &failure);
}

static void set_preload(void)
{
    const char *preload = getenv("LD_PRELOAD");
    char text[sizeof broker.library_path + 4096];

    snprintf(text, sizeof text, "%s%s%s", broker.library_path, preload && *preload ? ":" : "",
             preload ? preload : "");
    setenv("LD_PRELOAD", text, 1);
}

static void set_asked_ports(void)
{
    char text[PORTS_TEXT_MAX];

    ports_format_asked(&broker.config.port, text);
    if (*text)
        setenv("SSHIM_ASKED_PORTS", text, 1);
    else
        unsetenv("SSHIM_ASKED_PORTS");
}

static void set_environment(const struct spawn_identity *identity)
{
    char text[2 * WIRE_TOKEN_SIZE + 16];

    original_hide_manager();
    launch_set_environment(identity->slot);
    if (runtime.intercept != INTERCEPT_SECCOMP)
        set_preload();
    if (*identity->notify_socket)
        setenv("NOTIFY_SOCKET", identity->notify_socket, 1);
    setenv("SSHIM_BROKER", broker.control_path, 1);
    setenv("SSHIM_RENDEZVOUS", door_abstract_name(), 1);
    snprintf(text, sizeof text, "%u", identity->slot);
    setenv("SSHIM_WORKER_ID", text, 1);
    snprintf(text, sizeof text, "%u", (unsigned)broker.uid);
    setenv("SSHIM_OWNER", text, 1);
    wire_format_token(identity->token, text);
    setenv("SSHIM_TOKEN", text, 1);
    snprintf(text, sizeof text, "%u", front_flags());
    if (front_flags())
        setenv("SSHIM_PROXIED", text, 1);
    else
        unsetenv("SSHIM_PROXIED");
    set_asked_ports();
    if (broker.config.share_all)
        setenv("SSHIM_SHARE_ALL", "1", 1);
    else
        unsetenv("SSHIM_SHARE_ALL");
}

/* A terminal cannot be read by several copies in the background: it would stop them (SIGTTIN). */
static void detach_terminal(void)
{
    if (!isatty(STDIN_FILENO))
        return;
    int null_fd = open("/dev/null", O_RDONLY);
    if (null_fd > STDIN_FILENO) {
        dup2(null_fd, STDIN_FILENO);
        close(null_fd);
    }
}

/* The workers' user: only root may change it, see setuid(2). Capabilities go with it; ambient ones
 * are dropped for all. */
static void drop_rights(int error_fd)
{
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (!has_user && !has_group)
        return;
    if ((has_user && initgroups(user_name, run_gid) < 0) || (!has_user && setgroups(0, NULL) < 0) ||
        setgid(run_gid) < 0 || (has_user && setuid(run_uid) < 0))
        fail(error_fd, LAUNCH_USER);
    if (runtime.intercept != INTERCEPT_SECCOMP && access(broker.library_path, R_OK) < 0)
        fail(error_fd, LAUNCH_LIBRARY);
}

/* With the broker's rights, so that it needs no no_new_privs; what follows calls nothing that the
 * filter notifies. */
static void filter_calls(int error_fd)
{
    const struct launch_failure none = {0};
    int notify_fd = install_filter();

    if (notify_fd < 0 || fdpass_send(error_fd, &none, sizeof none, notify_fd, 0) < 0)
        fail(error_fd, LAUNCH_FILTER);
}

static void run_child(char **command, const struct spawn_identity *identity, int error_fd)
{
    struct launch_failure failure;

    for (int i = 1; command[i]; i++)
        command[i] = launch_expand(command[i], identity->slot);
    setpgid(0, 0);
    detach_terminal();
    for (int i = 0; i < 2; i++)
        if (identity->outputs[i] >= 0) {
            output_begin_line(identity->outputs[i]);
            dup2(identity->outputs[i], STDOUT_FILENO + i);
        }
    original_restore();
    if (!launch_set_limits(identity->slot, &failure))
        end(error_fd, &failure);
    set_environment(identity);
    original_restore_mask();
    if (runtime.intercept == INTERCEPT_SECCOMP)
        filter_calls(error_fd);
    drop_rights(error_fd);
    if (!launch_set_place(identity->slot, &failure))
        end(error_fd, &failure);
    execvp(command[0], command);
    fail(error_fd, LAUNCH_EXEC);
}

/* What it does not know from when it was started, see deputy.h. */
struct order {
    unsigned slot;
    uint8_t token[WIRE_TOKEN_SIZE];
    enum config_intercept intercept;
    char notify_socket[16];
    int outputs[2];
    int error_fd;
};

static void run_order(const void *bytes)
{
    const struct order *order = bytes;
    struct spawn_identity identity = {
        order->slot, order->token, order->notify_socket, {order->outputs[0], order->outputs[1]}};

    runtime.intercept = order->intercept;
    run_child(broker.config.command, &identity, order->error_fd);
}

pid_t spawn_worker(const struct spawn_identity *identity, int *error_fd)
{
    struct order order = {.slot = identity->slot, .intercept = runtime.intercept};
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -1;
    memcpy(order.token, identity->token, sizeof order.token);
    snprintf(order.notify_socket, sizeof order.notify_socket, "%s", identity->notify_socket);
    memcpy(order.outputs, identity->outputs, sizeof order.outputs);
    order.error_fd = ends[1];
    original_note_signals();
    pid_t pid = deputy_fork(DEPUTY_WORKER, &order, sizeof order);
    int saved = errno;
    close(ends[1]);
    if (pid < 0)
        close(ends[0]);
    else
        *error_fd = ends[0];
    errno = saved;
    return pid;
}
