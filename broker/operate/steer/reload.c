/* reload.c - see reload.h. */
#include "broker/operate/steer/reload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/process/deputy.h"
#include "broker/cli/options/run_options.h"
#include "broker/cli/settings/reread.h"
#include "broker/diagnose/check.h"
#include "broker/handout/front/access.h"
#include "broker/handout/front/full.h"
#include "broker/handout/front/stages.h"
#include "broker/handout/handout.h"
#include "broker/handout/watchdog.h"
#include "broker/life/launch/spawn.h"
#include "broker/life/launch/surroundings.h"
#include "broker/operate/steer/elastic.h"
#include "broker/operate/steer/recycle.h"
#include "broker/operate/steer/scale.h"
#include "broker/operate/tell/conn_log.h"
#include "broker/operate/tell/metrics.h"
#include "broker/operate/tell/pidfile.h"
#include "broker/operate/run/choose.h"
#include "broker/survive/keeper.h"
#include "broker/survive/resume.h"

static void change_number(const struct config *before)
{
    char text[16];

    if (broker.config.workers == before->workers)
        return;
    snprintf(text, sizeof text, "%u", broker.config.workers);
    scale_begin(text, true, NULL);
}

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_same_set(const struct cidr_set *a, const struct cidr_set *b)
{
    if (a->count != b->count)
        return false;
    for (unsigned i = 0; i < a->count; i++)
        if (!cidr_equal(&a->at[i], &b->at[i]))
            return false;
    return true;
}

/* Whose connections are taken. False: nothing has changed. */
static bool change_access(const struct config *before)
{
    const struct config *now = &broker.config;
    bool limits_changed =
        memcmp(&now->per_source, &before->per_source, sizeof now->per_source) != 0;

    if (is_same_set(&now->allow, &before->allow) && is_same_set(&now->deny, &before->deny) &&
        !limits_changed)
        return false;
    access_reread(limits_changed);
    return true;
}

/* Where the operator hears of us. */
static void change_outlets(const struct config *before)
{
    const struct config *now = &broker.config;
    bool is_same_log =
        is_same_text(now->log_file, before->log_file) && now->log_format == before->log_format;

    if (!is_same_log && !log_change(now->log_format, now->log_file))
        log_error("cannot open %s for --log: %s; messages go where they went%s", now->log_file,
                  strerror(errno),
                  errno == EPERM ? "; a broker with --user or --sandbox that wrote no file before "
                                   "may not begin to: start it again"
                                 : "");
    if (!is_same_text(now->pidfile_dir, before->pidfile_dir))
        pidfile_reread();
    if (!is_same_text(now->metrics, before->metrics))
        metrics_reread();
    if (!is_same_text(now->conn_log, before->conn_log))
        conn_log_reread(before->conn_log != NULL);
}

/* Whether workers take connections past the broker. False: as before. */
static bool change_handoff(const struct config *before)
{
    if (broker.config.handoff == before->handoff || runtime.handoff == HANDOFF_DIRECT)
        return false;
    runtime.handoff = broker.config.handoff;
    return true;
}

/* What concerns connections before workers get them. */
static void change_front(const struct config *before)
{
    const struct config *now = &broker.config;
    bool is_changed = change_access(before);

    is_changed |= change_handoff(before);
    is_changed |= !now->conn_log != !before->conn_log;
    is_changed |= now->skip_dead != before->skip_dead || now->unmap != before->unmap ||
                  now->max_conns_per_worker != before->max_conns_per_worker ||
                  now->when_full.kind != before->when_full.kind;
    stages_reread();
    if (!is_changed)
        return;
    if (runtime.handoff != HANDOFF_DIRECT && handout_enforce() < 0)
        log_error("cannot make the table of held connections: %s; limits and rules for "
                  "connections have no effect",
                  strerror(errno));
}

/* The deputy starts the workers and the keeper, by options that it reads itself: a broker that was
 * taken over must not choose their user, or a command of root's. The broker has judged them
 * already. */
static bool use_in_deputy(int argc, char **resolved)
{
    struct config next;
    int exit_code;

    if (run_options_parse(&next, argc, resolved + 1, &exit_code) == DONE ||
        spawn_resolve_user(next.user, next.group) < 0)
        return false;
    broker.config = next;
    log_set_level(next.verbosity);
    resume_set_arguments(resolved);
    return true;
}

static bool reload_in_deputy(void)
{
    struct option_fault told;

    return reread_file(use_in_deputy, &told);
}

void reload_init(void)
{
    deputy_set_reload(reload_in_deputy);
}

/* What is wrong with the file of --when-full; "": nothing. */
static struct option_fault answer_fault;

/* False after one line. */
static bool read_answer(const char *path)
{
    if (full_read(path, &answer_fault))
        return true;
    log_error("%s; clients get the answer that was read before, and no worker is replaced",
              answer_fault.text);
    return false;
}

/* Has logged what is wrong, if anything is. */
static bool use(int argc, char **resolved)
{
    struct config before = broker.config;
    struct config next;
    int exit_code;

    if (run_options_parse(&next, argc, resolved + 1, &exit_code) == DONE || !choose_stays(&next) ||
        spawn_resolve_user(next.user, next.group) < 0 || !read_answer(next.when_full.file))
        return false;
    if (!deputy_reload()) {
        read_answer(before.when_full.file); /* as all other options, it stays */
        return false;
    }
    broker.config = next;
    choose_reread();
    check_set_user(spawn_uid(), spawn_gid());
    check_set_folder(next.copy.chdir ? launch_expand(next.copy.chdir, 0) : NULL);
    log_set_level(next.verbosity);
    resume_set_arguments(resolved);
    keeper_renew();
    change_number(&before);
    change_front(&before);
    handout_find_leaders();
    change_outlets(&before);
    recycle_begin();
    elastic_begin();
    watchdog_begin();
    return true;
}

static void log_lines(const char *text)
{
    for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1)
        log_info("%.*s", (int)(end - text), text);
}

bool reload_options(struct option_fault *told)
{
    told->text[0] = '\0';
    answer_fault.text[0] = '\0';
    if (!reread_has_file() && read_answer(broker.config.when_full.file))
        return true;
    if (reread_has_file() && reread_file(use, told)) {
        log_lines(told->text);
        return true;
    }
    if (answer_fault.text[0]) {
        *told = answer_fault;
        return false;
    }
    if (strchr(told->text, '\n'))
        option_fail(told, "the options cannot be used together; the log says why");
    log_error("%s; the options stay as they were, and no worker is replaced", told->text);
    return false;
}
