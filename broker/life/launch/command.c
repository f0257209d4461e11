/* command.c - see command.h. */
#include "broker/life/launch/command.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/loop/fds.h"
#include "broker/base/process/deputy.h"
#include "broker/life/launch/original.h"

/* No other names: a shell with more rights than the broker's would believe LD_PRELOAD, or PATH. */
static void add_variable(const char *text)
{
    static const char ours[] = "SSHIM_EVENT";
    const char *value = strchr(text, '=');
    char name[64];

    if (!value || (size_t)(value - text) >= sizeof name || strncmp(text, ours, strlen(ours)) != 0)
        return;
    memcpy(name, text, (size_t)(value - text));
    name[value - text] = '\0';
    setenv(name, value + 1, 1);
}

static void add_variables(int fd)
{
    struct stat info = {.st_size = 0};
    size_t size = fstat(fd, &info) == 0 ? (size_t)info.st_size : 0;
    char *text = calloc(1, size + 2);

    if (!text || pread(fd, text, size, 0) < 0)
        _exit(EXIT_NOT_EXECUTABLE);
    for (; *text; text += strlen(text) + 1)
        add_variable(text);
}

struct order {
    int variables_fd;
};

static void run(const void *bytes)
{
    const struct order *order = bytes;
    int null_fd = open("/dev/null", O_RDONLY);

    setsid();
    dup2(null_fd, STDIN_FILENO);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    if (null_fd > STDERR_FILENO)
        close(null_fd);
    original_restore();
    original_hide_manager();
    add_variables(order->variables_fd);
    original_restore_mask();
    execl("/bin/sh", "sh", "-c", broker.config.on_event, NULL);
    _exit(EXIT_NOT_FOUND);
}

static size_t size_of(const char *variables)
{
    const char *at = variables;

    while (*at)
        at += strlen(at) + 1;
    return (size_t)(at - variables);
}

/* They may be longer than an order. */
pid_t command_start(const char *variables)
{
    size_t size = size_of(variables);
    struct order order = {memfd_create("sshim-event", MFD_CLOEXEC)};

    if (order.variables_fd < 0)
        return -1;
    bool is_written = write(order.variables_fd, variables, size) == (ssize_t)size;
    pid_t pid = is_written ? deputy_fork(DEPUTY_COMMAND, &order, sizeof order) : -1;
    fds_close(order.variables_fd);
    return pid;
}

void command_init(void)
{
    deputy_set(DEPUTY_COMMAND, run);
}
