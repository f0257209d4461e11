/* output.c - see output.h. */
#include "broker/life/launch/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/base/loop.h"
#include "broker/base/process/helpers.h"
#include "broker/life/launch/lines.h"
#include "proto/fdpass.h"

#define PIPE_SIZE (256 * 1024) /* for the moments in which the process is started again */
#define AGAIN_MS 100
#define LAST_WORDS_MS 1000

struct output {
    struct output_fds fds;
    bool is_read[2]; /* the process has the reading end */
};

static struct output *outputs;
static unsigned count;
static struct loop_fd control = {.fd = -1};
static struct loop_timer again;
static bool has_failed; /* and it was said */

static void tell_failure(const char *what)
{
    if (!has_failed)
        log_error("cannot %s for --log-prefix: %s; trying again", what, strerror(errno));
    has_failed = true;
}

static bool has_room(unsigned slot)
{
    struct output *more = slot < count ? outputs : reallocarray(outputs, slot + 1, sizeof *more);

    if (!more)
        return false;
    outputs = more;
    for (; count <= slot; count++)
        outputs[count] = (struct output){.is_read = {false}};
    return true;
}

static bool open_pipes(struct output_fds *fds)
{
    int ends[2][2];

    if (pipe2(ends[0], O_CLOEXEC) < 0)
        return false;
    if (pipe2(ends[1], O_CLOEXEC) < 0) {
        close(ends[0][0]);
        close(ends[0][1]);
        return false;
    }
    for (int i = 0; i < 2; i++) {
        fcntl(ends[i][1], F_SETPIPE_SZ, PIPE_SIZE);
        fds->reads[i] = ends[i][0];
        fds->writes[i] = ends[i][1];
    }
    journal_touch();
    return true;
}

/* What it has not got yet; the rest later, when it has taken some. */
static void send_all(void)
{
    for (unsigned slot = 0; slot < count; slot++) {
        struct output *output = &outputs[slot];
        for (int i = 0; i < 2 && output->fds.reads[i] > 0; i++) {
            if (output->is_read[i])
                continue;
            struct lines_stream is = {.slot = slot, .is_error = i};
            if (fdpass_send(control.fd, &is, sizeof is, output->fds.reads[i], MSG_DONTWAIT) < 0) {
                loop_start_timer(&again, AGAIN_MS);
                return;
            }
            output->is_read[i] = true;
        }
    }
}

static void forget_process(void)
{
    loop_remove(&control);
    close(control.fd);
    control.fd = -1;
    if (runtime.lines_pid)
        waitpid(runtime.lines_pid, NULL, __WCLONE | WNOHANG);
    runtime.lines_pid = 0;
    for (unsigned slot = 0; slot < count; slot++)
        memset(outputs[slot].is_read, 0, sizeof outputs[slot].is_read);
}

static void on_process_end(struct loop_fd *watch, uint32_t events)
{
    (void)watch;
    (void)events;
    log_info("the process that reads for --log-prefix has ended; starting another one");
    forget_process();
    loop_start_timer(&again, AGAIN_MS);
    journal_touch();
}

static bool start_process(void)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return false;
    runtime.lines_pid = helpers_fork(0);
    if (runtime.lines_pid == 0)
        lines_run(ends[1]);
    close(ends[1]);
    control = (struct loop_fd){ends[0], on_process_end};
    if (runtime.lines_pid > 0 && loop_add(&control, 0) == 0) {
        journal_touch();
        return true;
    }
    close(ends[0]);
    control.fd = -1;
    runtime.lines_pid = 0;
    return false;
}

static void serve(void)
{
    if (control.fd < 0 && !start_process()) {
        tell_failure("start a process");
        loop_start_timer(&again, AGAIN_MS);
        return;
    }
    send_all();
}

static void on_again(struct loop_timer *timer)
{
    (void)timer;
    serve();
}

bool output_for(unsigned slot, int fds[2])
{
    if (!broker.config.log_prefix)
        return false;
    again.on_time = on_again;
    if (!has_room(slot) || (!outputs[slot].fds.reads[0] && !open_pipes(&outputs[slot].fds))) {
        tell_failure("open a pipe");
        return false;
    }
    if (!outputs[slot].is_read[1])
        serve();
    for (int i = 0; i < 2; i++)
        fds[i] = outputs[slot].fds.writes[i];
    return true;
}

void output_begin_line(int fd)
{
    struct pollfd pipe = {.fd = fd, .events = POLLOUT};

    if (poll(&pipe, 1, 0) == 1 && (pipe.revents & POLLOUT))
        (void)!write(fd, LINES_CUT, LINES_CUT_LEN);
}

struct output_fds output_record(unsigned slot)
{
    return slot < count ? outputs[slot].fds : (struct output_fds){.reads = {0}};
}

void output_adopt(unsigned slot, const struct output_fds *fds)
{
    if (!has_room(slot))
        return;
    outputs[slot] = (struct output){.fds = *fds, .is_read = {true, true}};
}

int output_control_fd(void)
{
    return control.fd < 0 ? 0 : control.fd;
}

void output_adopt_process(int control_fd, int32_t pid)
{
    again.on_time = on_again;
    control = (struct loop_fd){control_fd, on_process_end};
    runtime.lines_pid = pid > 0 ? pid : 0;
    if (loop_add(&control, 0) == 0)
        return;
    control.fd = -1;
    loop_start_timer(&again, AGAIN_MS);
}

void output_close(void)
{
    struct pollfd ended = {.fd = control.fd};

    for (unsigned slot = 0; slot < count; slot++)
        for (int i = 0; i < 2 && outputs[slot].fds.reads[i] > 0; i++) {
            close(outputs[slot].fds.reads[i]);
            close(outputs[slot].fds.writes[i]);
        }
    if (control.fd < 0)
        return;
    shutdown(control.fd, SHUT_WR);
    poll(&ended, 1, LAST_WORDS_MS);
}
