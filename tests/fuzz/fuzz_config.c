/* fuzz_config.c - the command line of `sshim run`: lines of the input are the arguments. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "broker/cli/options/run_options.h"
#include "broker/cli/options/target_options.h"
#include "fuzz.h"

#define ARGUMENTS_MAX 80

/* --help goes to stdout; messages go to stderr, which sanitizers need. */
static void be_silent(void)
{
    int null_fd = open("/dev/null", O_WRONLY);

    dup2(null_fd, STDOUT_FILENO);
    close(null_fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static bool silent;
    struct config config;
    struct config_target target;
    char *argv[ARGUMENTS_MAX + 2] = {(char *)"run"};
    int argc = 1;
    char *text = malloc(len + 1);

    if (!silent)
        be_silent();
    silent = true;
    memcpy(text, bytes, len);
    text[len] = '\0';
    for (char *line = text; line && argc <= ARGUMENTS_MAX; argc++) {
        argv[argc] = line;
        line = strchr(line, '\n');
        if (line)
            *line++ = '\0';
    }
    int exit_code = -1;
    if (run_options_parse(&config, argc, argv, &exit_code) == DONE) {
        MUST(exit_code == EXIT_STOPPED || exit_code == EXIT_USAGE);
    } else {
        MUST(config.workers <= CONFIG_WORKERS_MAX && config.stop_timeout_s <= 86400);
        MUST((config.command != NULL) == (config.workers > 0));
        MUST(config.share.count <= CONFIG_PATTERNS_MAX &&
             config.unshared.count <= CONFIG_PATTERNS_MAX);
        MUST(config.accept_timeout_ms >= 1 && config.accept_timeout_ms <= 10000 &&
             config.backlog >= 0);
    }
    argv[0] = (char *)(len % 2 ? "status" : "scale");
    if (target_options_parse(&target, argc, argv, &exit_code) == DONE)
        MUST(exit_code == EXIT_STOPPED || exit_code == EXIT_USAGE);
    free(text);
    return 0;
}
