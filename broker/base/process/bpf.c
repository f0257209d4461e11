/* bpf.c - see bpf.h. */
#include "broker/base/process/bpf.h"

#include <linux/seccomp.h>
#include <stdlib.h>

void bpf_put(struct bpf_program *program, struct sock_filter step)
{
    if (program->len == BPF_PROGRAM_MAX)
        abort();
    program->at[program->len++] = step;
}

void bpf_put_load(struct bpf_program *program, size_t offset)
{
    bpf_put(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

void bpf_put_load_argument(struct bpf_program *program, unsigned number)
{
    size_t offset = offsetof(struct seccomp_data, args) + number * sizeof(uint64_t);

    bpf_put_load(program, __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? offset + 4 : offset);
}

void bpf_put_if(struct bpf_program *program, uint32_t value, uint8_t else_over)
{
    bpf_put(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, else_over));
}

void bpf_put_return(struct bpf_program *program, uint32_t action)
{
    bpf_put(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}
