/*
 * tracer.h - runs `sshim run` with all that it starts under ptrace(2), and tells which calls the
 * copies of the server make. Whatever becomes of us, the kernel ends all of it
 * (PTRACE_O_EXITKILL). One at a time.
 */
#ifndef SSHIM_OBSERVE_TRIAL_TRACER_H
#define SSHIM_OBSERVE_TRIAL_TRACER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define TRACER_COPIES 2

struct tracer_call {
    pid_t pid;     /* the thread */
    unsigned copy; /* its slot, below TRACER_COPIES */
    uint64_t number;
    uint64_t arguments[6];
    bool is_done; /* false: it has begun; true: it has ended with: */
    int64_t result;
};

/* Executes argv as a child with standard output and error to output_fd (borrows), and ready_fd
 * (borrows) open. False with errno. */
bool tracer_start(char *const *argv, int output_fd, int ready_fd,
                  void (*on_call)(const struct tracer_call *call));

/* CLOCK_MONOTONIC. */
int64_t tracer_now_ms(void);

/* Serves what is traced for this long, or until something has happened. */
void tracer_serve(int timeout_ms);

/* Whether the process of tracer_start() still runs. */
bool tracer_is_running(void);

/* Sends a signal to it. */
void tracer_signal(int number);

/* The copy that this process belongs to, or belonged to; -1: to none that was traced. */
int tracer_copy_of(pid_t pid);

/* Whether this child of ours, which is not traced, has ended, and how. */
bool tracer_has_ended(pid_t pid, int *status);

/* Kills all that is left and waits until it is gone. */
void tracer_end(void);

#endif
