/* runtime_paths.h - where things are: the control socket of an instance, the library, the program.
 */
#ifndef SSHIM_BROKER_CLI_RUNTIME_PATHS_H
#define SSHIM_BROKER_CLI_RUNTIME_PATHS_H

#include <stdbool.h>
#include <stddef.h>

/* Where our brokers have their control sockets: $XDG_RUNTIME_DIR/sshim, unless that belongs to
 * another user (sudo); else for root /run/sshim, for others /run/user/UID/sshim or, without that,
 * /tmp/sshim-UID. */
void runtime_paths_run_folder(char *path, size_t size);

/* The folders in which an operator's command looks, from number 0, which is that one. Then where
 * the same user has none of it in the environment, for root those of the user of sudo(8). False:
 * there are no more. */
bool runtime_paths_search_folder(unsigned number, char *path, size_t size);

/* The base name of a command as an instance's name: letters, digits and "._-" are kept, the rest
 * becomes '_'. */
void runtime_paths_name_of(const char *command, char *name, size_t size);

/*
 * The control socket's absolute path: control, or NAME.sock in the run folder. False after one line
 * when it is too long for a socket (unix(7)).
 */
bool runtime_paths_control(const char *control, const char *name, char *path, size_t size);

/* How an operator names the instance of this control path: "--name NAME" if its socket is the
 * default one of that name, else "--control PATH" with the path as one word of a shell. */
#define RUNTIME_PATHS_DESCRIBED_MAX 256
void runtime_paths_describe(const char *control_path, char *text, size_t size);

/* libsshim.so: $SSHIM_LIB, beside the program, or in ../lib/sshim. False after one line when there
 * is none. */
bool runtime_paths_library(char *path, size_t size);

/* Another program of ours, of this name: beside this program, or in ../lib/sshim. False when there
 * is none. */
bool runtime_paths_own_program(const char *name, char *path, size_t size);

/*
 * The path by which this program was called (argv[0]), absolute and with the links in it, so that
 * it leads to another version as soon as a link does. Where it does not lead to this program, the
 * program's own path.
 */
void runtime_paths_program(const char *called, char *path, size_t size);

/* The build of this name for other programs (libsshim-musl.so, libsshim-m32.so) beside that
 * library. False when there is none, or SSHIM_LIB has chosen. */
bool runtime_paths_other_library(const char *library, const char *name, char *path, size_t size);

/* Makes the folder of the control socket if it is the default one (mode 0700). One that is there is
 * believed only if it is a folder of ours, to which nobody else may write. False after one line. */
bool runtime_paths_make_run_folder(const char *control_path);

#endif
