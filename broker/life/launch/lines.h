/*
 * lines.h - the process behind --log-prefix: reads what the workers write, and writes each line
 * with the slot in front. It must read whatever happens, since a worker that writes into a full
 * pipe waits: lines that nobody takes are dropped and counted.
 */
#ifndef SSHIM_BROKER_LIFE_LAUNCH_LINES_H
#define SSHIM_BROKER_LIFE_LAUNCH_LINES_H

/* Comes with the reading end of a pipe, over a socket of packets. */
struct lines_stream {
    unsigned slot;
    int is_error; /* it is for standard error, else for standard output */
};

/* A new worker of the slot writes into the same pipe: this in front of what it writes ends a line
 * that the one before it left without an end. It is no line itself. */
#define LINES_CUT "\0\n"
#define LINES_CUT_LEN 2

/* In a process of its own: takes streams from this socket (takes) until its other end is closed,
 * and ends when all streams have ended as well. */
_Noreturn void lines_run(int control_fd);

#endif
