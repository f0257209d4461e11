/*
 * check.c - see check.h. The file is found as execvp(3) and the kernel find it; then each cause
 * that keeps a loader from preloading has one function that answers with the reason.
 */
#include "broker/diagnose/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "broker/base/loop/fds.h"
#include "broker/cli/runtime_paths.h"
#include "broker/diagnose/elf.h"

#define SCRIPT_DEPTH_MAX 5  /* the kernel's limit of interpreters of interpreters */
#define SCRIPT_LINE_MAX 256 /* and of the length of a #! line */

static bool has_user;
static uid_t user_uid;
static gid_t user_gid;
static const char *run_folder; /* NULL: ours */

void check_set_user(uid_t uid, gid_t gid)
{
    has_user = true;
    user_uid = uid;
    user_gid = gid;
}

void check_set_folder(const char *folder)
{
    run_folder = folder;
}

/* --- reading --- */

/* False with errno: it cannot be read. A file that is no ELF file gives bits 0. */
static bool read_image(const char *path, struct elf_image *image)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    *image = (struct elf_image){.bits = 0};
    if (fd < 0)
        return false;
    bool good = fstat(fd, &info) == 0;
    if (good && S_ISREG(info.st_mode) && info.st_size > 0) {
        void *bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        good = bytes != MAP_FAILED;
        if (good) {
            elf_parse(bytes, (size_t)info.st_size, image);
            munmap(bytes, (size_t)info.st_size);
        }
    }
    fds_close(fd);
    return good;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* --- what keeps a library out: each answers whether it does, with the reason --- */

static bool is_static(const char *path, const struct elf_image *image, char *reason, size_t size)
{
    if (!elf_is_static(image) || elf_libc_of_loader(path) != ELF_LIBC_UNKNOWN)
        return false;
    if (image->has_go)
        snprintf(reason, size,
                 "it is a Go program and linked statically, so nothing can be preloaded; run it "
                 "without sshim, one Go process uses all cores");
    else
        snprintf(reason, size,
                 "it is linked statically, so no loader runs that could preload anything; link it "
                 "dynamically (without -static)");
    return true;
}

/* C programs may hold Go code; then the C part calls listen. */
static bool bypasses_libc(const struct elf_image *image, char *reason, size_t size)
{
    if (!image->has_go || image->names_listen)
        return false;
    snprintf(reason, size,
             "it is a Go program, and Go makes its socket calls without libc, so a preloaded "
             "library sees none of them; run it without sshim, one Go process uses all cores");
    return true;
}

static const char *libc_name(enum elf_libc libc)
{
    return libc == ELF_LIBC_MUSL ? "musl" : "glibc";
}

static bool differs_in_kind(const struct elf_image *image, const struct elf_image *library,
                            const char *library_path, char *reason, size_t size)
{
    const char *name = base_name(library_path);

    if (image->bits != library->bits)
        snprintf(reason, size,
                 "it is a %u-bit program and %s is a %u-bit library; use a %u-bit build of the "
                 "program, or %s",
                 image->bits, name, library->bits, library->bits,
                 image->bits == 32 ? "build the 32-bit library (make m32)"
                                   : "set SSHIM_LIB to a 64-bit library");
    else if (image->machine != library->machine)
        snprintf(reason, size,
                 "it is a program for another machine than %s (ELF machine %u, not %u); use a "
                 "build of the program for this machine",
                 name, image->machine, library->machine);
    else if (image->libc != library->libc && image->libc != ELF_LIBC_UNKNOWN &&
             library->libc != ELF_LIBC_UNKNOWN)
        snprintf(reason, size,
                 "it uses %s and %s is made for %s; build the library for %s (make %s) and set "
                 "SSHIM_LIB to it",
                 libc_name(image->libc), name, libc_name(library->libc), libc_name(image->libc),
                 image->libc == ELF_LIBC_MUSL ? "musl" : "all");
    else
        return false;
    return true;
}

/* The kernel honours neither bits nor capabilities of a file then. */
static bool gives_no_rights(const char *path)
{
    struct statvfs volume;

    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ||
           (statvfs(path, &volume) == 0 && (volume.f_flag & ST_NOSUID));
}

/* The cases in which the kernel sets AT_SECURE, see ld.so(8): a change of uid or gid, or
 * capabilities for a user who is not root. */
static bool gains_rights(const char *path, char *reason, size_t size)
{
    uid_t uid = has_user ? user_uid : getuid();
    gid_t gid = has_user ? user_gid : getgid();
    struct stat info;

    if (stat(path, &info) < 0 || gives_no_rights(path))
        return false;
    bool is_setgid = (info.st_mode & S_ISGID) && (info.st_mode & S_IXGRP);
    if ((info.st_mode & S_ISUID) && info.st_uid != uid)
        snprintf(reason, size,
                 "it is setuid to uid %u, and the loader ignores LD_PRELOAD then; run sshim as "
                 "that user with a copy that is not setuid (chmod u-s)",
                 (unsigned)info.st_uid);
    else if (is_setgid && info.st_gid != gid)
        snprintf(reason, size,
                 "it is setgid to gid %u, and the loader ignores LD_PRELOAD then; run sshim with "
                 "that group and a copy that is not setgid (chmod g-s)",
                 (unsigned)info.st_gid);
    else if (uid != 0 && getxattr(path, "security.capability", NULL, 0) > 0)
        snprintf(reason, size,
                 "it has file capabilities, and the loader ignores LD_PRELOAD then; take them away "
                 "(setcap -r) and give sshim the right to bind the port");
    else
        return false;
    return true;
}

static enum check_result judge(const char *path, const struct elf_image *image,
                               const char *library_path, struct check_report *report)
{
    char *reason = report->reason;
    size_t size = sizeof report->reason;
    struct elf_image library;
    bool knows_library = read_image(library_path, &library) && library.bits;

    if (is_static(path, image, reason, size) || bypasses_libc(image, reason, size) ||
        (knows_library && differs_in_kind(image, &library, library_path, reason, size)) ||
        gains_rights(path, reason, size))
        return CHECK_REFUSED;
    return CHECK_LOADS;
}

bool check_gains_rights(const char *path)
{
    char reason[1];

    return gains_rights(path, reason, sizeof reason);
}

enum check_result check_program(const char *path, const char *library, struct check_report *report)
{
    struct elf_image image;

    snprintf(report->program, sizeof report->program, "%s", path);
    if (!read_image(path, &image))
        return CHECK_UNKNOWN;
    return image.bits ? judge(path, &image, library, report) : CHECK_LOADS;
}

bool check_bypasses_libc(const char *path)
{
    struct check_report report;
    struct elf_image image;

    return read_image(path, &image) && image.bits &&
           bypasses_libc(&image, report.reason, sizeof report.reason);
}

/* --- finding the program as execvp(3) does --- */

static bool is_executable(const char *path)
{
    struct stat info;

    if (stat(path, &info) < 0)
        return false;
    if (S_ISREG(info.st_mode) && faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0)
        return true;
    errno = EACCES;
    return false;
}

static bool find_program(const char *name, char path[PATH_MAX])
{
    const char *folders = getenv("PATH");
    int error = ENOENT;

    if (strchr(name, '/')) {
        bool is_below = run_folder && *name != '/';
        snprintf(path, PATH_MAX, "%s%s%s", is_below ? run_folder : "", is_below ? "/" : "", name);
        return is_executable(path);
    }
    if (!folders)
        folders = "/bin:/usr/bin";
    for (const char *end; *name && folders; folders = *end ? end + 1 : NULL) {
        end = strchrnul(folders, ':');
        int len = (int)(end - folders);
        snprintf(path, PATH_MAX, "%.*s%s%s", len, folders, len ? "/" : "./", name);
        if (is_executable(path))
            return true;
        if (errno == EACCES)
            error = EACCES;
    }
    errno = error;
    return false;
}

bool check_find_file(const char *name, char path[PATH_MAX])
{
    return find_program(name, path);
}

bool check_find_absent_loader(const char *path, char *loader, size_t size)
{
    struct elf_image image;

    if (!read_image(path, &image) || !image.bits || !image.interpreter[0])
        return false;
    snprintf(loader, size, "%s", image.interpreter);
    return access(loader, F_OK) < 0;
}

/* --- scripts --- */

/* The first word of *rest, which moves behind it; "" when there is none. */
static char *next_word(char **rest)
{
    char *word = *rest + strspn(*rest, " \t");

    *rest = word + strcspn(word, " \t");
    if (**rest)
        *(*rest)++ = '\0';
    return word;
}

static bool is_env(const char *path)
{
    return strcmp(base_name(path), "env") == 0;
}

/* "env -i": nothing that we put into the environment comes through. */
static bool clears_environment(const char *path, const char *argument)
{
    return is_env(path) && argument &&
           (strcmp(argument, "-i") == 0 || strcmp(argument, "-") == 0 ||
            strcmp(argument, "--ignore-environment") == 0);
}

/* The program behind env(1), where it can be told at a glance; else NULL. */
static const char *behind_env(const char *path, char *const *arguments)
{
    if (!is_env(path))
        return NULL;
    if (clears_environment(path, *arguments))
        arguments++;
    while (*arguments && strchr(*arguments, '='))
        arguments++;
    return *arguments && **arguments && **arguments != '-' ? *arguments : NULL;
}

/* Replaces path, a file that is not an ELF file, by what runs it. */
static bool find_interpreter(char path[PATH_MAX])
{
    char line[SCRIPT_LINE_MAX + 1] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, line, SCRIPT_LINE_MAX);

    if (fd >= 0)
        close(fd);
    line[len > 0 ? len : 0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, "#!", 2) != 0) {
        snprintf(path, PATH_MAX, "/bin/sh"); /* execvp(3), ENOEXEC */
        return true;
    }
    char *rest = line + 2;
    const char *interpreter = next_word(&rest);
    char *argument[] = {next_word(&rest), NULL};
    const char *behind = behind_env(interpreter, argument);
    if (behind)
        return find_program(behind, path);
    snprintf(path, PATH_MAX, "%s", interpreter);
    return is_executable(path);
}

/* What torsocks(1) preloads stands before us and calls accept4 of the C library itself (seen in
 * 2.4.0), which knows no channel. */
static bool accepts_past_us(const char *path, char *reason, size_t size)
{
    if (strcmp(base_name(path), "torsocks") != 0 && strcmp(base_name(path), "torify") != 0)
        return false;
    snprintf(reason, size,
             "what it preloads calls accept4 past the library; serve it by --intercept seccomp");
    return true;
}

enum check_result check_command(char *const *command, const char *library,
                                struct check_report *report)
{
    struct elf_image image;
    char *path = report->program;

    if (!find_program(command[0], path))
        return CHECK_UNKNOWN;
    bool cleared = clears_environment(path, command[1]);
    const char *behind = behind_env(path, command + 1);
    if (behind && !find_program(behind, path))
        return CHECK_UNKNOWN;
    if (cleared) {
        snprintf(report->reason, sizeof report->reason,
                 "its environment is cleared, and LD_PRELOAD with it; leave the -i of env(1) out");
        return CHECK_REFUSED;
    }
    if (accepts_past_us(path, report->reason, sizeof report->reason))
        return CHECK_REFUSED;
    for (int depth = 0; depth <= SCRIPT_DEPTH_MAX; depth++) {
        if (!read_image(path, &image))
            return CHECK_UNKNOWN;
        if (image.bits)
            return judge(path, &image, library, report);
        if (!find_interpreter(path))
            return CHECK_UNKNOWN;
    }
    errno = ELOOP;
    return CHECK_UNKNOWN;
}

enum check_result check_choose(char *const *command, char library[PATH_MAX],
                               struct check_report *report)
{
    static const char *const others[] = {"libsshim-musl.so", "libsshim-m32.so"};
    struct check_report second;
    char other[PATH_MAX];
    enum check_result result = check_command(command, library, report);

    for (size_t i = 0; result == CHECK_REFUSED && i < sizeof others / sizeof others[0]; i++) {
        if (!runtime_paths_other_library(library, others[i], other, sizeof other) ||
            check_command(command, other, &second) != CHECK_LOADS)
            continue;
        memcpy(library, other, sizeof other);
        *report = second;
        result = CHECK_LOADS;
    }
    return result;
}
