/* help.c - see help.h. */
#include "broker/cli/options/help.h"

#include <stdio.h>

#include "broker/cli/options/rows.h"

void help_print(void)
{
    const char *before = "usage:";

#define X(name, arguments, summary)                                                                \
    printf("%6s sshim %-41s %s\n", before, *arguments ? #name " " arguments : #name, summary);     \
    before = "";
    COMMANDS(X)
#undef X
    puts("\nIf several instances run, give --name or --control with each command.\n\n"
         "options of run:");
    options_print(&rows_of_run);
    puts("\nEach option of run can also be set in the environment (SSHIM_STOP_TIMEOUT for "
         "--stop-timeout) and in a file\n(--config). 'sshim run web' reads "
         "~/.config/sshim/web.conf or /etc/sshim/web.conf.");
    puts("\n{id} in an argument, in --env and in --chdir becomes the slot of the copy, from "
         "0;\nSSHIM_WORKER_ID in its "
         "environment is the same.\n\noptions of the other commands:");
    options_print(&rows_of_targets);
}

void help_print_hint(FILE *out)
{
    fputs("sshim runs several copies of an unmodified server behind one address.\n"
          "\n"
          "  sshim run -w 4 -- ./server --port 8080    run four copies; Ctrl-C stops them\n"
          "  sshim status                              show listeners and copies\n"
          "  sshim restart                             replace the copies one by one\n"
          "  sshim scale +2                            run two copies more\n"
          "  sshim stop                                stop all copies\n"
          "  sshim check --run -- ./server             say what two copies would trip over\n"
          "\n"
          "sshim --help lists all commands and options; man sshim explains them.\n",
          out);
}
