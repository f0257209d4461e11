/* failure.c - see failure.h. */
#include "broker/diagnose/failure.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/log.h"
#include "broker/cli/runtime_paths.h"
#include "broker/cli/settings/config_file.h"
#include "broker/diagnose/check.h"
#include "broker/diagnose/holders.h"

#define LINE_MAX_SIZE 256 /* of a script's first line, as the kernel reads it */

/* --- bind --- */

static bool is_low_port(const struct address *address)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)&address->storage;
    bool is_ip = in->sin_family == AF_INET || in->sin_family == AF_INET6;

    return is_ip && ntohs(in->sin_port) < 1024; /* the port is in the same place for both */
}

static const char *bind_remedy(const struct address *address, int error)
{
    if (error == EADDRINUSE)
        return "free the address or give the server another one";
    if ((error == EACCES || error == EPERM) && is_low_port(address))
        return "ports below 1024 are root's: start sshim as root, with --user for the workers, or "
               "lower net.ipv4.ip_unprivileged_port_start";
    if (error == EACCES || error == EPERM)
        return "let the workers' user write to that folder, or give the server another address";
    if (error == EADDRNOTAVAIL)
        return "no interface of this machine has it: give the server one that is there";
    return "give the server another address";
}

static void tell_held(const char *text, const struct holders *holders)
{
    char instance[RUNTIME_PATHS_DESCRIBED_MAX];

    if (!holders->broker[0]) {
        log_error("cannot bind %s: %s, by %s; end what has it with 'kill %s', or give the server "
                  "another address",
                  text, strerror(EADDRINUSE), holders->named, holders->pids);
        return;
    }
    runtime_paths_describe(holders->broker, instance, sizeof instance);
    log_error("cannot bind %s: %s, by another instance of sshim: %s; stop it with 'sshim stop %s', "
              "or give the server another address",
              text, strerror(EADDRINUSE), holders->named, instance);
}

bool failure_tell_bind(const struct address *address, int error)
{
    static struct address told;
    static int told_error;
    char text[ADDRESS_TEXT_MAX];
    struct holders holders;

    if (told_error == error && address_equal(&told, address))
        return false;
    told = *address;
    told_error = error;
    address_format(address, text);
    if (error == EADDRINUSE && holders_of_address(address, &holders))
        tell_held(text, &holders);
    else
        log_error("cannot bind %s: %s; %s", text, strerror(error), bind_remedy(address, error));
    return true;
}

/* --- exec --- */

/* The first line, without its end. False: it is no script. */
static bool read_script(const char *path, char line[LINE_MAX_SIZE])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, line, LINE_MAX_SIZE - 1);

    if (fd >= 0)
        close(fd);
    line[len > 0 ? len : 0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    return strncmp(line, "#!", 2) == 0;
}

/* The file is there, and yet exec says that something is not. */
static void tell_what_is_absent(const char *program, const char *path)
{
    char line[LINE_MAX_SIZE];
    char loader[256];

    if (read_script(path, line)) {
        char *name = line + 2 + strspn(line + 2, " \t");
        bool has_cr = line[strlen(line) - 1] == '\r';
        name[strcspn(name, " \t\r")] = '\0';
        if (has_cr)
            log_error("cannot run '%s': its first line ends in CR LF, so that the kernel looks for "
                      "'%s\\r'; end its lines in LF alone (dos2unix)",
                      program, name);
        else
            log_error("cannot run '%s': its interpreter %s is not there; install it or correct the "
                      "first line of %s",
                      program, name, path);
    } else if (check_find_absent_loader(path, loader, sizeof loader)) {
        log_error("cannot run '%s': its loader %s is not there; install the libc that it was built "
                  "for, or a build for this system",
                  program, loader);
    } else {
        log_error("cannot run '%s': something that %s needs is not there; run it by itself to see "
                  "what",
                  program, path);
    }
}

static const char *exec_remedy(const char *path, int error)
{
    struct stat info;

    if (error == ENOENT)
        return "check the command's name and PATH";
    if (error == EACCES && !strchr(path, '/'))
        return "check the command's name, and let the workers' user search the folders of PATH";
    if (error == EACCES && stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return "it is a folder: give the program in it";
    if (error == EACCES)
        return "let the workers' user execute it (chmod +x), and search the folders above it";
    if (error == EPERM)
        return "start sshim with the rights that this needs";
    return "check the file and its execute permission";
}

/* `sshim run web --workers 2`: with arguments behind it "web" is a command. */
static bool is_name_of_file(const char *program, char file[PATH_MAX])
{
    return !strchr(program, '/') && config_file_find(program, file, PATH_MAX);
}

void failure_tell_exec(const char *program, int error)
{
    char path[PATH_MAX];
    char file[PATH_MAX];

    if (!check_find_file(program, path))
        snprintf(path, sizeof path, "%s", program);
    if (error == ENOENT && access(path, F_OK) == 0)
        tell_what_is_absent(program, path);
    else if ((error == ENOENT || !strchr(path, '/')) && is_name_of_file(program, file))
        log_error("cannot run '%s': %s; to run what %s says, give options before the name: 'sshim "
                  "run [OPTION...] %s'",
                  program, strerror(error), file, program);
    else
        log_error("cannot run '%s': %s; %s", program, strerror(error), exec_remedy(path, error));
}

void failure_tell_signal(unsigned slot, int number)
{
    static bool told;

    if (number != SIGSYS || told)
        return;
    told = true;
    log_error("worker %u made a call that a filter (seccomp) forbids: let the filter pass socket, "
              "connect, sendmsg, recvmsg, fcntl and poll, or give --handoff direct, where accept "
              "needs fewer calls",
              slot);
}
