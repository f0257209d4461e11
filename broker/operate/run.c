/* run.c - see run.h. */
#include "broker/operate/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/base/log/ring.h"
#include "broker/base/loop.h"
#include "broker/base/process/deputy.h"
#include "broker/base/process/procfs.h"
#include "broker/base/turn.h"
#include "broker/cli/options/run_options.h"
#include "broker/cli/runtime_paths.h"
#include "broker/cli/settings/dry_run.h"
#include "broker/cli/settings/settings.h"
#include "broker/diagnose/check.h"
#include "broker/diagnose/oom.h"
#include "broker/handout/handout.h"
#include "broker/handout/watchdog.h"
#include "broker/handout/front/front.h"
#include "broker/handout/canonical/rate.h"
#include "broker/life/launch/command.h"
#include "broker/life/launch/original.h"
#include "broker/operate/run/choose.h"
#include "broker/operate/run/conditions.h"
#include "broker/operate/run/confine.h"
#include "broker/share/intercept/answer.h"
#include "broker/share/intercept/filter.h"
#include "broker/share/intercept/notify.h"
#include "broker/life/supervise/children.h"
#include "broker/life/supervise/fleet.h"
#include "broker/life/slot.h"
#include "broker/life/launch/output.h"
#include "broker/life/launch/spawn.h"
#include "broker/life/launch/surroundings.h"
#include "broker/life/stop.h"
#include "broker/operate/rehearsal.h"
#include "broker/operate/control.h"
#include "broker/operate/rendezvous.h"
#include "broker/operate/request.h"
#include "broker/operate/signals.h"
#include "broker/operate/takeover.h"
#include "broker/operate/tell/conn_log.h"
#include "broker/operate/tell/events.h"
#include "broker/operate/tell/hook.h"
#include "broker/operate/tell/metrics.h"
#include "broker/operate/tell/pidfile.h"
#include "broker/operate/tell/progress.h"
#include "broker/operate/tell/service.h"
#include "broker/operate/tell/status.h"
#include "broker/operate/upgrade.h"
#include "broker/pool/closer.h"
#include "broker/pool/listener.h"
#include "broker/pool/path.h"
#include "broker/pool/session/session.h"
#include "broker/operate/steer/elastic.h"
#include "broker/operate/steer/recycle.h"
#include "broker/operate/steer/reload.h"
#include "broker/operate/steer/scale.h"
#include "broker/share/adopt.h"
#include "broker/share/inherit.h"
#include "broker/share/retire.h"
#include "broker/share/store.h"
#include "broker/survive/keeper.h"
#include "broker/survive/resume.h"
#include "broker/survive/state_load.h"
#include "broker/survive/state_save.h"

/* Of socket files at the end: for all together. Less than the keeper waits for a turn. */
#define REMOVALS_MS 3000
#define LEAVE_MS 2000

static void await_removals(unsigned at_most, int64_t end_ms)
{
    int64_t left_ms = end_ms - loop_now_ms();

    path_await_removals(at_most, left_ms > 0 ? (int)left_ms : 0);
}

static void remove_sockets(void)
{
    metrics_close();
    rendezvous_close();
}

static _Noreturn void run_leave(const void *order)
{
    (void)order;
    remove_sockets();
    _exit(0);
}

/* The deputy has the rights that made them. The process that it forks for this has copies of our
 * descriptors, and when it ends may have to wait for the last close of one, see closer.h. */
static void leave(void)
{
    pid_t pid = deputy_does_all() ? deputy_fork(DEPUTY_LEAVE, NULL, 0) : -1;
    int64_t end_ms = turn_read_ms() + LEAVE_MS;

    if (pid < 0)
        remove_sockets();
    while (pid > 0 && waitpid(pid, NULL, WNOHANG) == 0 && turn_read_ms() < end_ms)
        usleep(1000);
}

static void clean_up(void)
{
    struct listener *listener;
    int64_t end_ms = loop_now_ms() + REMOVALS_MS;

    while ((listener = TAILQ_FIRST(&listeners)) != NULL) {
        await_removals(PATH_REMOVALS_MAX - 1, end_ms);
        listener_set_shut(listener); /* what a service manager keeps stays open */
        listener_destroy(listener);
    }
    await_removals(0, end_ms);
    conn_log_finish();
    output_close();
    leave();
    pidfile_finish();
    journal_mark_clean(); /* what a broker before this line leaves behind, the next one cleans up */
    closer_finish();
}

/* Another broker was here before us, in this process or one that was killed. */
static void resume(void)
{
    bool was_stopping = state_was_stopping();

    /* The offers that we are about to take out of the channels must survive us as well. */
    if (resume_keeps_numbers())
        keeper_start();
    if (resume_load() < 0) {
        log_error("cannot go on from the state of the last broker: %s; stop its workers by hand "
                  "and start anew",
                  strerror(errno));
        if (resume_cause() != RESUME_UPGRADE)
            journal_mark_clean(); /* the keeper could not either */
        exit(EXIT_ADDRESS);
    }
    conn_log_begin(); /* before connections are handed out */
    resume_hand_out();
    rendezvous_complete();
    prctl(PR_SET_NAME, "sshim"); /* executed as /proc/self/exe it would be "exe" */
    if (stop_is_under_way()) {
        children_on_signal(); /* given up: the last hope has ended meanwhile */
        return;
    }
    if (was_stopping ||
        (resume_cause() == RESUME_CRASH && broker.config.on_broker_death == BROKER_DEATH_EXIT)) {
        log_event(LOG_LEVEL_NORMAL, LOG_RESUME, NULL, "ending the workers %s", resume_describe());
        stop_begin(EXIT_STOPPED);
    } else {
        log_event(LOG_LEVEL_NORMAL, LOG_RESUME,
                  LOG_FACTS(LOG_NUMBER("workers", slot_count_filled())),
                  "going on with %u worker%s %s", slot_count_filled(),
                  slot_count_filled() == 1 ? "" : "s", resume_describe());
        if (resume_cause() == RESUME_CRASH)
            journal_set_save(state_save); /* an upgrade can still be taken back */
        adopt_finish();
    }
    children_on_signal(); /* those that ended meanwhile */
}

static void start(void)
{
    const struct config *config = &broker.config;

    log_event(LOG_LEVEL_VERBOSE, LOG_START,
              LOG_FACTS(LOG_NUMBER("pid", getpid()), LOG_NUMBER("workers", config->workers),
                        LOG_TEXT("control", broker.control_path)),
              "control socket is %s", broker.control_path);
    if (config->workers_auto && config->workers < config->cores)
        log_debug("-w auto: workers: %u, by cpu.max of the cgroup; cores that are usable: %u",
                  config->workers, config->cores);
    else if (config->workers_auto)
        log_debug("-w auto: workers: %u, as many as cores are usable", config->workers);
    if (fleet_init() < 0) {
        log_error("cannot start: %s; check the memory limits of this process", strerror(errno));
        stop_begin(EXIT_NEVER_READY);
    }
}

/* The way to the loop. Each of these steps says DONE with an exit code after one line of its own.
 */

/* What is asked for, as whom and with what. */
static enum proceed settle_options(int *exit_code)
{
    *exit_code = EXIT_USAGE;
    if (!conditions_permit() || !conditions_name_instance())
        return DONE;
    if (broker.config.command &&
        !runtime_paths_library(broker.library_path, sizeof broker.library_path))
        return DONE;
    if (broker.config.copy.chdir)
        check_set_folder(launch_expand(broker.config.copy.chdir, 0));
    if (spawn_resolve_user(broker.config.user, broker.config.group) < 0)
        return DONE;
    return pidfile_init() ? GO_ON : DONE;
}

/* Before the loop waits; for the first time as soon as it runs. */
static void save(void)
{
    upgrade_settle();
    journal_set_save(state_save);
    state_save();
    pidfile_review();
    progress_review();
    service_review();
    if (status_state() == STATUS_READY)
        inherit_review();
}

static bool on_other_child(const siginfo_t *info)
{
    if (!deputy_on_child_end(info->si_pid))
        return rehearsal_on_child_end(info) || metrics_on_child_end(info) ||
               hook_on_child_end(info);
    if (!deputy_does_all()) /* the next worker's start begins another one */
        return true;
    log_error("the process that starts workers has ended; the keeper takes the broker's place, "
              "with a new one");
    if (runtime.keeper_pid)
        kill(getpid(), SIGKILL);
    return true;
}

static void on_event(const struct log_record *record)
{
    events_add(record);
    hook_note(record);
}

/* Gives lower files the functions of higher ones that they call. */
static void on_settled(void)
{
    session_on_settled();
    notify_on_settled();
}

static void connect_layers(void)
{
    loop_set_save(save);
    procfs_init(turn_has_time);
    children_init(on_other_child);
    path_init();
    rehearsal_init();
    deputy_set(DEPUTY_LEAVE, run_leave);
    metrics_init();
    reload_init();
    listener_init(handout_init, handout_finish, retire_on_time);
    session_init(request_handle, control_handle_text);
    spawn_set_filter(filter_install);
    slot_set_notify(notify_watch);
    notify_init(answer_call);
    fleet_set_up(scale_on_leave);
    keeper_init(resume_rescue);
    log_set_observer(on_event);
}

/* This process becomes a broker that no peer can reach yet. */
static enum proceed set_up(bool resumes, int *exit_code)
{
    runtime.handoff = broker.config.handoff;
    runtime.workers = broker.config.workers;
    runtime.metrics_fd = -1;
    runtime.connections_fd = -1;
    *exit_code = EXIT_USAGE;
    if (!conditions_take_ready_fd(resumes) || (!resumes && !rendezvous_knows_group()))
        return DONE;
    rate_init(resumes);
    check_set_user(spawn_uid(), spawn_gid());
    if (!resumes && !choose_way()) {
        *exit_code = EXIT_NOT_EXECUTABLE;
        return DONE;
    }
    conditions_raise_files();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (loop_init() < 0 || signals_watch() < 0 || turn_init() < 0 || closer_init(on_settled) < 0) {
        log_error("cannot start: %s; check the limits of this process", strerror(errno));
        return DONE;
    }
    if (!resumes && journal_init() < 0) {
        log_error("cannot make the journal by memfd_create: %s; check the memory limits of this "
                  "process, and whether a filter (seccomp) forbids the call",
                  strerror(errno));
        return DONE;
    }
    if (front_begin(resumes) < 0) {
        log_error("cannot make the table of held connections by memfd_create: %s; check the memory "
                  "limits of this process",
                  strerror(errno));
        return DONE;
    }
    if (!conditions_read_answer(resumes))
        return DONE;
    broker.started_ms = loop_now_ms();
    connect_layers();
    service_begin(resumes);
    return GO_ON;
}

/* Begins anew, or where another broker was. */
static enum proceed begin(bool resumes, int *exit_code)
{
    resumes = resumes || takeover_receive(broker.control_path);
    if (resumes) {
        resume();
        journal_touch();
    } else if (!rendezvous_open()) {
        *exit_code = EXIT_ADDRESS;
        return DONE;
    } else {
        conn_log_begin();
    }
    if (!metrics_begin() && !resumes) {
        rendezvous_close();
        *exit_code = EXIT_ADDRESS;
        return DONE;
    }
    oom_init();
    store_begin();
    if (!resumes) {
        ring_open(-1);
        inherit_begin();
        journal_set_save(state_save);
        state_save(); /* before there is a keeper that would go on from it */
    }
    keeper_start();
    if (!confine() && !resumes) {
        journal_mark_clean();
        keeper_stop();
        remove_sockets();
        return DONE;
    }
    if (!resumes)
        start();
    recycle_begin();
    elastic_begin();
    watchdog_begin();
    return GO_ON;
}

int run_broker(int argc, char **program_argv)
{
    int exit_code = EXIT_USAGE;
    char **resolved;

    if (settings_read(&broker.config, argc, program_argv, &resolved, &exit_code) == DONE)
        return exit_code;
    log_set_level(broker.config.verbosity);
    if (settle_options(&exit_code) == DONE)
        return exit_code;
    if (broker.config.dry_run) {
        dry_run_print();
        return EXIT_STOPPED;
    }
    original_init();
    spawn_init();
    command_init();
    resume_init(resolved);
    bool resumes;
    if (resume_find(&resumes) == DONE || !conditions_open_log(resumes) ||
        set_up(resumes, &exit_code) == DONE || begin(resumes, &exit_code) == DONE)
        return exit_code;
    loop_run();
    progress_review();
    clean_up();
    keeper_stop();
    return stop_exit_code();
}

int run_rehearsal(int argc, char **argv)
{
    int exit_code = EXIT_USAGE;

    if (run_options_parse(&broker.config, argc, argv, &exit_code) == DONE)
        return exit_code;
    log_set_level(broker.config.verbosity);
    if (settle_options(&exit_code) == DONE)
        return exit_code;
    if (!conditions_read_answer(false))
        return exit_code;
    if (!resume_can_read(REHEARSAL_FD)) {
        log_error("this version does not read the journal of the running one; stop that one and "
                  "start this one");
        return EXIT_ADDRESS;
    }
    puts(REHEARSAL_LINE);
    return EXIT_STOPPED;
}
