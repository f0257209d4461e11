/* runtime_paths.c - see runtime_paths.h. */
#include "broker/cli/runtime_paths.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/base/log.h"
#include "proto/wire.h"

#define SUFFIX ".sock" /* of a control socket in the run folder */
#define PLAIN          /* what no shell takes for more than itself */                              \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+:@,=%"
#define CONTROL_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof WIRE_LINK_SUFFIX)

static bool is_owned(const char *folder, uid_t uid)
{
    struct stat info;

    return stat(folder, &info) == 0 && info.st_uid == uid;
}

/* Which of the two is there depends on how the user has logged in. */
static bool folder_of_user(uid_t uid, bool of_login, char *path, size_t size)
{
    char login[64];

    snprintf(login, sizeof login, "/run/user/%u", (unsigned)uid);
    if (of_login)
        snprintf(path, size, "%s/sshim", login);
    else
        snprintf(path, size, "/tmp/sshim-%u", (unsigned)uid);
    return !of_login || is_owned(login, uid);
}

void runtime_paths_run_folder(char *path, size_t size)
{
    const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
    uid_t uid = geteuid();

    if (runtime && *runtime == '/' && (is_owned(runtime, uid) || access(runtime, F_OK) < 0))
        snprintf(path, size, "%s/sshim", runtime);
    else if (uid == 0)
        snprintf(path, size, "/run/sshim");
    else if (!folder_of_user(uid, true, path, size))
        folder_of_user(uid, false, path, size);
}

/* Of sudo(8); ourselves if there is none. */
static uid_t invoking_uid(void)
{
    const char *text = geteuid() == 0 ? secure_getenv("SUDO_UID") : NULL;
    char *end;
    unsigned long uid = text ? strtoul(text, &end, 10) : 0;

    return text && *text && !*end && uid <= UINT_MAX ? (uid_t)uid : geteuid();
}

bool runtime_paths_search_folder(unsigned number, char *path, size_t size)
{
    char own[PATH_MAX];
    uid_t uid = invoking_uid();
    unsigned next = 1;

    runtime_paths_run_folder(own, sizeof own);
    if (number == 0)
        snprintf(path, size, "%s", own);
    for (int of_login = 1; uid != 0 && number >= next && of_login >= 0; of_login--) {
        bool is_there = folder_of_user(uid, of_login, path, size) && access(path, F_OK) == 0;
        if (is_there && strcmp(path, own) != 0 && next++ == number)
            return true;
    }
    return number == 0;
}

void runtime_paths_name_of(const char *command, char *name, size_t size)
{
    const char *slash = strrchr(command, '/');
    size_t i = 0;

    for (const char *c = slash ? slash + 1 : command; *c && i + 1 < size; c++, i++)
        name[i] = isalnum((unsigned char)*c) || strchr("._-", *c) ? *c : '_';
    name[i] = '\0';
    if (name[0] == '.' || name[0] == '\0')
        name[0] = '_';
}

bool runtime_paths_control(const char *control, const char *name, char *path, size_t size)
{
    char full[PATH_MAX];
    char folder[PATH_MAX];

    if (!control) {
        runtime_paths_run_folder(folder, sizeof folder);
        snprintf(full, sizeof full, "%.*s/%s" SUFFIX, PATH_MAX - 80, folder, name);
    } else if (*control == '/') {
        snprintf(full, sizeof full, "%s", control);
    } else {
        if (!getcwd(folder, sizeof folder))
            folder[0] = '\0';
        snprintf(full, sizeof full, "%.*s/%.*s", PATH_MAX / 2, folder, PATH_MAX / 2 - 2, control);
    }
    if (strlen(full) > CONTROL_PATH_MAX || strlen(full) >= size) {
        log_error("cannot use the control socket %s: its path is longer than %zu bytes; give a "
                  "shorter path or --name",
                  full, CONTROL_PATH_MAX);
        return false;
    }
    snprintf(path, size, "%s", full);
    return true;
}

/* As one word for a shell. The quotes are double: messages have single ones around a command. */
static void quote_word(const char *word, char *text, size_t size)
{
    bool is_plain = word[strspn(word, PLAIN)] == '\0';
    size_t used = 0;

    if (!is_plain)
        text[used++] = '"';
    for (; *word && used + 3 < size; word++) {
        if (strchr("\"\\$`", *word))
            text[used++] = '\\';
        text[used++] = *word;
    }
    if (!is_plain)
        text[used++] = '"';
    text[used] = '\0';
}

void runtime_paths_describe(const char *control_path, char *text, size_t size)
{
    const char *file = strrchr(control_path, '/');
    char folder[PATH_MAX];

    char word[RUNTIME_PATHS_DESCRIBED_MAX];

    file = file ? file + 1 : control_path;
    int len = (int)strlen(file) - (int)strlen(SUFFIX);
    runtime_paths_run_folder(folder, sizeof folder);
    quote_word(control_path, word, sizeof word);
    bool is_default = len > 0 && strcmp(file + len, SUFFIX) == 0 &&
                      strncmp(control_path, folder, strlen(folder)) == 0 &&
                      control_path + strlen(folder) + 1 == file;
    if (is_default)
        snprintf(text, size, "--name %.*s", len, file);
    else
        snprintf(text, size, "--control %s", word);
}

static bool is_readable_file(const char *path)
{
    return access(path, R_OK) == 0;
}

/* By a word that no other library has. False after one line. */
static bool is_our_library(const char *path)
{
    static const char word[] = "SSHIM_RENDEZVOUS";
    struct stat info;
    void *bytes = MAP_FAILED;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0)
        bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (fd >= 0)
        close(fd);
    bool ours =
        bytes != MAP_FAILED && memmem(bytes, (size_t)info.st_size, word, sizeof word - 1) != NULL;
    if (bytes != MAP_FAILED)
        munmap(bytes, (size_t)info.st_size);
    if (!ours)
        log_error("cannot use SSHIM_LIB=%s: it is not the library of sshim; give the path of "
                  "libsshim.so, or unset SSHIM_LIB",
                  path);
    return ours;
}

bool runtime_paths_own_program(const char *name, char *path, size_t size)
{
    static const char *const places[] = {"", "../lib/sshim/"};
    char program[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);

    program[len > 0 ? len : 0] = '\0';
    const char *slash = strrchr(program, '/');
    for (size_t i = 0; slash && i < sizeof places / sizeof places[0]; i++) {
        int used =
            snprintf(path, size, "%.*s%s%s", (int)(slash + 1 - program), program, places[i], name);
        if (used > 0 && (size_t)used < size && access(path, X_OK) == 0)
            return true;
    }
    return false;
}

bool runtime_paths_library(char *path, size_t size)
{
    const char *given = secure_getenv("SSHIM_LIB");
    char program[PATH_MAX];
    char candidate[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);

    if (given && *given) {
        if (realpath(given, candidate) && is_readable_file(candidate)) {
            snprintf(path, size, "%s", candidate);
            return is_our_library(candidate);
        }
        log_error("cannot use SSHIM_LIB=%s: %s; give the path of libsshim.so", given,
                  strerror(errno));
        return false;
    }
    program[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(program, '/');
    if (slash)
        *slash = '\0';
    static const char *const places[] = {"libsshim.so", "../lib/sshim/libsshim.so"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        snprintf(candidate, sizeof candidate, "%.*s/%s", PATH_MAX - 40, program, places[i]);
        if (realpath(candidate, path) && is_readable_file(path))
            break;
        path[0] = '\0';
    }
    if (!path[0]) {
        log_error("cannot find libsshim.so beside %s or in ../lib/sshim; set SSHIM_LIB to its path",
                  program);
        return false;
    }
    if (strpbrk(path, " :")) {
        log_error("cannot preload %s: the loader takes spaces and colons for separators; move it "
                  "or set SSHIM_LIB",
                  path);
        return false;
    }
    return true;
}

/* Absolute, with its links. False: no such path. */
static bool make_absolute(const char *folder, const char *name, char *path, size_t size)
{
    char here[PATH_MAX];

    if (*folder == '/')
        return snprintf(path, size, "%s/%s", folder, name) < (int)size;
    return getcwd(here, sizeof here) &&
           snprintf(path, size, "%s/%s/%s", here, folder, name) < (int)size;
}

static bool is_this_program(const char *path)
{
    struct stat own;
    struct stat other;

    return stat("/proc/self/exe", &own) == 0 && stat(path, &other) == 0 &&
           own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

/* As the shell found it. */
static bool search_path(const char *name, char *path, size_t size)
{
    char folder[PATH_MAX];
    const char *rest = getenv("PATH");

    while (rest && *rest) {
        size_t len = strcspn(rest, ":");
        snprintf(folder, sizeof folder, "%.*s", (int)len, len ? rest : ".");
        if (make_absolute(folder, name, path, size) && is_this_program(path))
            return true;
        rest += len + (rest[len] == ':');
    }
    return false;
}

/* " (deleted)" is what the kernel adds when another file is there now, see proc(5). */
static void read_own_link(char *path, size_t size)
{
    static const char deleted[] = " (deleted)";
    ssize_t len = readlink("/proc/self/exe", path, size - 1);

    path[len > 0 ? len : 0] = '\0';
    char *suffix = strstr(path, deleted);
    if (suffix && suffix[sizeof deleted - 1] == '\0')
        *suffix = '\0';
}

void runtime_paths_program(const char *called, char *path, size_t size)
{
    bool found = *called == '/'        ? snprintf(path, size, "%s", called) < (int)size
                 : strchr(called, '/') ? make_absolute(".", called, path, size)
                                       : search_path(called, path, size);

    if (!found || !is_this_program(path))
        read_own_link(path, size);
}

bool runtime_paths_other_library(const char *library, const char *name, char *path, size_t size)
{
    const char *given = secure_getenv("SSHIM_LIB");
    const char *slash = strrchr(library, '/');

    if (given && *given)
        return false;
    snprintf(path, size, "%.*s%s", slash ? (int)(slash + 1 - library) : 0, library, name);
    return is_readable_file(path);
}

/* A user who can write there can put another socket in the place of ours. */
static bool is_own_folder(const char *folder)
{
    struct stat info;

    if (lstat(folder, &info) < 0) {
        log_error("cannot use the folder %s: %s; give a --control PATH in a folder of yours",
                  folder, strerror(errno));
        return false;
    }
    const char *fault = !S_ISDIR(info.st_mode)                 ? "it is no folder"
                        : info.st_uid != geteuid()             ? "it belongs to another user"
                        : (info.st_mode & (S_IWGRP | S_IWOTH)) ? "others may write to it"
                                                               : NULL;
    if (fault)
        log_error("cannot use the folder %s: %s; give a --control PATH in a folder of yours",
                  folder, fault);
    return !fault;
}

bool runtime_paths_make_run_folder(const char *control_path)
{
    char folder[PATH_MAX];

    runtime_paths_run_folder(folder, sizeof folder);
    size_t len = strlen(folder);
    if (strncmp(control_path, folder, len) != 0 || control_path[len] != '/')
        return true;
    if (mkdir(folder, 0700) == 0)
        return true;
    if (errno == EEXIST)
        return is_own_folder(folder);
    log_error("cannot make the folder %s: %s; give a --control PATH in a folder of yours", folder,
              strerror(errno));
    return false;
}
