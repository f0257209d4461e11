/*
 * output.h - --log-prefix: the pipes that workers write into, two a slot, and the process that
 * reads them (lines.h). The broker holds both ends, so a worker gets no SIGPIPE when that process
 * dies, and hands the reading ends to the next one. Pipes and process stay over the broker's death.
 */
#ifndef SSHIM_BROKER_LIFE_LAUNCH_OUTPUT_H
#define SSHIM_BROKER_LIFE_LAUNCH_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

/* The ends to read, then those to write, for standard output and standard error. 0: none. */
struct output_fds {
    int32_t reads[2], writes[2];
};

/* What the workers of this slot get as standard output and error (borrow). False: they keep the
 * broker's, since nothing else was asked for, or no pipe is to be had. */
bool output_for(unsigned slot, int fds[2]);

/* In the child, before exec: what it writes begins with a new line. If the pipe is full, it does
 * nothing rather than wait. */
void output_begin_line(int fd);

/* For the snapshot, and from it (takes). */
struct output_fds output_record(unsigned slot);
void output_adopt(unsigned slot, const struct output_fds *fds);
int output_control_fd(void); /* 0: none */
void output_adopt_process(int control_fd, int32_t pid);

/* The broker ends: waits for a moment until all was written. */
void output_close(void);

#endif
