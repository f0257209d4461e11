/*
 * check.h - whether the library can be preloaded into a program, judged by its file before it runs.
 * preload_check.h finds what only shows at run time (a script that starts another program, a
 * cleared environment).
 */
#ifndef SSHIM_BROKER_DIAGNOSE_CHECK_H
#define SSHIM_BROKER_DIAGNOSE_CHECK_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

enum check_result {
    CHECK_LOADS,
    CHECK_REFUSED, /* it cannot; reason says why and what to do */
    CHECK_UNKNOWN, /* no such program, or it cannot be read; errno */
};

struct check_report {
    char program[PATH_MAX]; /* the file that was judged at last: a script's interpreter */
    char reason[512];       /* of CHECK_REFUSED: "it is ...; <remedy>" */
};

/* Programs are going to run as this user and group; without this call as ours. */
void check_set_user(uid_t uid, gid_t gid);

/* And in this folder (keeps the text), from which a path that is not absolute counts. */
void check_set_folder(const char *folder);

/* Judges what execvp(3) would run for this command. */
enum check_result check_command(char *const *command, const char *library,
                                struct check_report *report);

/* The same; where the build for musl or for 32 bits beside the library fits instead, replaces
 * library by it. */
enum check_result check_choose(char *const *command, char library[PATH_MAX],
                               struct check_report *report);

/* Judges one program file, no script; /proc/PID/exe will do. */
enum check_result check_program(const char *path, const char *library, struct check_report *report);

/* Whether the kernel gives its process rights that the file says: setuid, setgid or capabilities.
 */
bool check_gains_rights(const char *path);

/* The file that execvp(3) would run; where there is none that can be executed, false, with the last
 * one that was looked at. */
bool check_find_file(const char *name, char path[PATH_MAX]);

/* The dynamic loader that this ELF file asks for, if it is not there. */
bool check_find_absent_loader(const char *path, char *loader, size_t size);

/* Whether a program makes its socket calls around a library that was preloaded into it. */
bool check_bypasses_libc(const char *path);

#endif
