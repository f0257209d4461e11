/*
 * sink.h - where lines go: standard error, or a file. Nothing here waits for a reader; a terminal
 * to which another process writes is waited for, at most 5 ms. Our own open file of a pipe or
 * terminal has O_NONBLOCK: the one that we were started with is shared with other programs, which
 * do not expect it. A file system that does not answer is another matter: writing to a file on it
 * waits.
 */
#ifndef SSHIM_BROKER_BASE_LOG_SINK_H
#define SSHIM_BROKER_BASE_LOG_SINK_H

#include <stdbool.h>
#include <stddef.h>

struct sink {
    int fd; /* keeps, but for STDERR_FILENO; -1: none */
    bool is_socket;
    bool may_wait; /* the open file is shared: look before each write */
    bool is_terminal;
    bool is_stopped; /* a terminal that did not take the last line */
};

/* Standard output or error (borrows fd). Opens the pipe or terminal behind it anew, where that is
 * permitted. */
void sink_open_standard(struct sink *sink, int fd);

/* Opens a file to append to, mode 0640; of a sink that has one open, only if that works. 0, or -1
 * with the errno of open(2). The number of the descriptor stays: another process may know it. */
int sink_open_file(struct sink *sink, const char *path);

/* All of it or nothing. False: it was not taken. */
bool sink_write(struct sink *sink, const char *text, size_t len);

#endif
