/* confine.c - see confine.h. */
#include "broker/operate/run/confine.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/base/process/deputy.h"
#include "broker/base/process/procfs.h"
#include "broker/base/process/rights.h"
#include "broker/base/process/sandbox.h"
#include "broker/base/process/signal.h"
#include "broker/operate/tell/conn_log.h"

/* That of the program before, where another one was executed here: it has that one's descriptors.
 */
static void end_old_deputy(void)
{
    pid_t pid = journal_deputy();

    if (pid > 0 && procfs_parent(pid) == getpid()) {
        signal_process(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
}

bool confine(void)
{
    const struct config *config = &broker.config;
    bool writes_files = config->pidfile_dir || config->log_file || conn_log_is_on();
    bool reduces = geteuid() == 0 && (config->sandbox || (config->user && rights_come_back()));

    if (!reduces && !config->sandbox)
        return true;
    end_old_deputy();
    pid_t deputy = deputy_start();
    bool is_done = deputy > 0 && (!reduces || rights_reduce(writes_files)) &&
                   (!config->sandbox || sandbox_enter(writes_files));
    if (deputy > 0)
        journal_set_deputy(deputy);
    if (is_done)
        return true;
    log_error("cannot %s: %s; %s", config->sandbox ? "use --sandbox" : "give up capabilities",
              strerror(errno),
              config->sandbox ? "leave it out" : "the broker keeps all rights of root");
    return !config->sandbox;
}
