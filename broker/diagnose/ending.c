/* ending.c - see ending.h. */
#include "broker/diagnose/ending.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static void describe(struct ending *ending, const siginfo_t *info)
{
    if (ending->end == WORKER_END_OOM)
        snprintf(ending->how, sizeof ending->how, "was killed by the kernel for want of memory");
    else if (info->si_code == CLD_EXITED)
        snprintf(ending->how, sizeof ending->how, "exited with status %d", info->si_status);
    else if (info->si_code == 0)
        snprintf(ending->how, sizeof ending->how, "ended");
    else
        snprintf(ending->how, sizeof ending->how, "was ended by signal %d (%s)", info->si_status,
                 strsignal(info->si_status));
}

void ending_note(struct ending *ending, const struct worker *worker, const siginfo_t *info,
                 enum worker_end end, const char *how)
{
    bool by_signal = info->si_code == CLD_KILLED || info->si_code == CLD_DUMPED;

    *ending = (struct ending){
        .slot = worker->slot,
        .pid = worker->pid,
        .end = end,
        .status = info->si_code == CLD_EXITED ? info->si_status : -1,
        .signal = by_signal ? sigabbrev_np(info->si_status) : NULL,
        .connections = worker_active(worker),
        .uptime_s = (loop_now_ms() - worker->started_ms) / 1000,
    };
    if (how)
        snprintf(ending->how, sizeof ending->how, "%s", how);
    else
        describe(ending, info);
}

void ending_tell(const struct ending *ending, enum log_level level, const char *next)
{
    const struct log_fact *facts = LOG_FACTS(
        LOG_NUMBER("worker", ending->slot), LOG_NUMBER("pid", ending->pid),
        LOG_TEXT("cause", worker_end_name(ending->end)),
        ending->signal ? (struct log_fact)LOG_TEXT("signal", ending->signal)
                       : (struct log_fact)LOG_NUMBER("code", ending->status),
        LOG_NUMBER("connections", ending->connections), LOG_NUMBER("uptime_s", ending->uptime_s));
    char connections[48] = "";

    if (ending->connections > 0)
        snprintf(connections, sizeof connections, ", with %" PRIu64 " open connection%s",
                 ending->connections, ending->connections == 1 ? "" : "s");
    log_event(level, LOG_WORKER_EXIT, facts, "worker %u %s%s%s", ending->slot, ending->how,
              connections, next);
}
