/* dry_run.h - --dry-run of `sshim run`. */
#ifndef SSHIM_BROKER_CLI_SETTINGS_DRY_RUN_H
#define SSHIM_BROKER_CLI_SETTINGS_DRY_RUN_H

/* Prints every option, the command, and where each comes from, as a file for --config. */
void dry_run_print(void);

#endif
