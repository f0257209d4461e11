/* scheduling.c - see scheduling.h. */
#include "broker/handout/canonical/scheduling.h"

#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

/* 4 blocking workers, 64 clients, CPU for each connection. SCHED_BATCH, `--handoff auto`: 0.78 of
 * that without. The slice, `--handoff broker`, in one group: 0.87; 100 ms give no more. The nice
 * value, in two groups: 0.78, and a greater one no less. With its half a broker has what it needs
 * beside busy groups of others: it takes 0.9 of the CPU of such workers. */
#define SLICE_NS 20000000
#define GROUP_NICE 3

/* struct sched_attr, which the C library has or has not. */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t slice_ns, deadline_ns, period_ns;
};

static bool may_change; /* no administrator has chosen a policy for us */
static enum scheduling now;

static void change(enum scheduling to)
{
    struct attributes set;

    if (syscall(SYS_sched_getattr, 0, &set, sizeof set, 0) < 0) /* with the nice value */
        return;
    set.policy = to == SCHEDULING_NORMAL ? SCHED_OTHER : SCHED_BATCH;
    set.slice_ns = to == SCHEDULING_PATIENT ? SLICE_NS : 0;
    syscall(SYS_sched_setattr, 0, &set, 0);
    now = to;
}

void scheduling_init(bool resumes)
{
    int policy = sched_getscheduler(0);

    if (resumes && policy == SCHED_BATCH) {
        change(SCHEDULING_NORMAL);
        policy = SCHED_OTHER;
    }
    may_change = policy == SCHED_OTHER;
}

void scheduling_set(enum scheduling to)
{
    if (may_change && to != now)
        change(to);
}

void scheduling_restore(void)
{
    scheduling_set(SCHEDULING_NORMAL);
}

void scheduling_halve_group(void)
{
    unsigned long id;
    int nice;
    FILE *file = getsid(0) == getpid() ? fopen("/proc/self/autogroup", "re") : NULL;

    if (!file)
        return;
    bool is_plain = fscanf(file, "/autogroup-%lu nice %d", &id, &nice) == 2 && nice == 0;
    fclose(file);
    if (is_plain && (file = fopen("/proc/self/autogroup", "we"))) {
        fprintf(file, "%d", GROUP_NICE);
        fclose(file);
    }
}
