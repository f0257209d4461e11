/*
 * bpf.h - programs for seccomp(2), step by step. What a step does is in linux/filter.h.
 */
#ifndef SSHIM_BROKER_BASE_PROCESS_BPF_H
#define SSHIM_BROKER_BASE_PROCESS_BPF_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

#define BPF_PROGRAM_MAX 512

/* Begins zeroed. Aborts when it is full: a program is the same each time. */
struct bpf_program {
    struct sock_filter at[BPF_PROGRAM_MAX];
    unsigned short len;
};

void bpf_put(struct bpf_program *program, struct sock_filter step);

/* Loads four bytes of struct seccomp_data. */
void bpf_put_load(struct bpf_program *program, size_t offset);

/* Loads the low half of an argument, counted from 0. */
void bpf_put_load_argument(struct bpf_program *program, unsigned number);

/* Goes on if the loaded value is this one, else over so many steps. */
void bpf_put_if(struct bpf_program *program, uint32_t value, uint8_t else_over);

void bpf_put_return(struct bpf_program *program, uint32_t action);

#endif
