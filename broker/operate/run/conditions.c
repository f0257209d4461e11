/* conditions.c - see conditions.h. */
#include "broker/operate/run/conditions.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/cli/default_name.h"
#include "broker/cli/runtime_paths.h"
#include "broker/handout/front/full.h"
#include "broker/operate/tell/conn_log.h"
#include "broker/operate/tell/conn_log/conn_line.h"
#include "proto/fdpass.h"

/* Another preloaded library may refuse them, if they are sockets of the network. */
static bool can_receive_sockets(void)
{
    int ends[2];
    int received = -1;
    int sent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char byte = 0;

    if (sent < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        if (sent >= 0)
            close(sent);
        return true; /* of such a want the start tells elsewhere */
    }
    bool is_sent = fdpass_send(ends[0], &byte, sizeof byte, sent, MSG_DONTWAIT) == 0;
    fdpass_recv(ends[1], &byte, sizeof byte, &received, MSG_CMSG_CLOEXEC | MSG_DONTWAIT, NULL);
    close(ends[0]);
    close(ends[1]);
    close(sent);
    if (received >= 0)
        close(received);
    return !is_sent || received >= 0;
}

bool conditions_permit(void)
{
    const char *broker_above = secure_getenv("SSHIM_TOKEN") ? secure_getenv("SSHIM_BROKER") : NULL;
    bool has_proc = access("/proc/self/fd", X_OK) == 0;

    if (!broker_above && has_proc && can_receive_sockets())
        return true;
    if (broker_above)
        log_error("this 'sshim run' is a worker of the broker at %s: two of them cannot share one "
                  "server; let the inner or the outer one run the server alone",
                  broker_above);
    else if (access("/proc/self/fd", X_OK) < 0)
        log_error("cannot use /proc: %s; mount it (mount -t proc proc /proc)", strerror(errno));
    else
        log_error("cannot receive sockets: a preloaded library refuses them, as that of torsocks; "
                  "start sshim without it, and the server with it: sshim run -- torsocks SERVER");
    return false;
}

bool conditions_name_instance(void)
{
    const struct config *config = &broker.config;

    if (config->name)
        snprintf(broker.name, sizeof broker.name, "%s", config->name);
    else
        default_name(config->command, broker.name, sizeof broker.name);
    broker.uid = geteuid();
    return runtime_paths_control(config->control, broker.name, broker.control_path,
                                 sizeof broker.control_path);
}

/* Three descriptors a channel, and more: take all that is allowed. Workers get the old limit back.
 */
void conditions_raise_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/*
 * Moves --ready-fd out of the way of workers and of a resumed broker: its reader may wait for the
 * end of file as well, and after a crash its number may be that of another file.
 */
bool conditions_take_ready_fd(bool resumes)
{
    int fd = broker.config.ready_fd;

    if (fd < 0 || resumes)
        return true;
    runtime.ready_fd = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (runtime.ready_fd < 0) {
        log_error("invalid value '%d' for --ready-fd: that file descriptor is not open; see sshim "
                  "--help",
                  fd);
        return false;
    }
    if (fd > STDERR_FILENO)
        close(fd);
    return true;
}

/* A broker that goes on does so without its file: the workers matter more. */
bool conditions_open_log(bool resumes)
{
    const struct config *config = &broker.config;
    struct log_options options = {config->verbosity, config->log_format, config->log_file,
                                  broker.name};

    const char *remedy = "give a file that this user may write to";
    bool is_open = log_open(&options);

    if (!is_open)
        log_error("cannot open %s for --log: %s; %s", config->log_file, strerror(errno),
                  resumes ? "messages go to standard error until 'sshim reopen'" : remedy);
    if ((!is_open && !resumes) || !conn_log_is_on() || conn_line_open())
        return is_open || resumes;
    log_error("cannot open %s for --conn-log: %s; %s", config->conn_log, strerror(errno),
              resumes ? "connections are not noted until 'sshim reopen'" : remedy);
    return resumes;
}

/* Clients of a broker that goes on without it are closed in its place. */
bool conditions_read_answer(bool resumes)
{
    struct option_fault fault;

    if (full_read(broker.config.when_full.file, &fault))
        return true;
    log_error("%s%s", fault.text, resumes ? "; until 'sshim restart' clients get no answer" : "");
    return resumes;
}
