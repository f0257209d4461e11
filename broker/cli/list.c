/* list.c - see list.h. Each broker is asked for its own row. */
#include "broker/cli/list.h"

#include <stdio.h>

#include "broker/cli/broker_socket.h"
#include "broker/cli/client.h"
#include "broker/cli/instances.h"

struct listing {
    const struct config_target *target;
    unsigned count;
    int exit_code;
};

static void ask_one(const char *control_path, void *context)
{
    struct listing *listing = context;

    if (listing->target->json && listing->count > 0)
        fputs(",", stdout);
    if (!listing->target->json && listing->count == 0)
        printf("%-20s %8s  %-10s %-14s %s\n", "NAME", "PID", "STATE", "READY", "ADDRESS");
    fflush(stdout);
    int exit_code = client_ask(control_path, listing->target, WIRE_COMMAND_LINE);
    if (exit_code >= 0 && exit_code != EXIT_USAGE) /* there is a row, also of one that fails */
        listing->count++;
    if (exit_code != EXIT_STOPPED)
        listing->exit_code = 1;
}

/* Only the one behind --control, if a broker lives there. */
static void ask_control(const struct config_target *target, struct listing *listing)
{
    char path[INSTANCES_PATH_MAX];

    if (instances_find(target, path) == INSTANCES_ONE && broker_socket_probe(path) != 0)
        ask_one(path, listing);
}

/* What was looked for: an instance that is not there says nothing of the others. */
static void tell_none(const struct config_target *target)
{
    if (target->control)
        printf("no instance is running at %s\n", target->control);
    else if (target->name)
        printf("no instance '%s' is running\n", target->name);
    else
        puts("no instance is running");
}

int list_run(const struct config_target *target)
{
    struct listing listing = {.target = target, .exit_code = EXIT_STOPPED};

    if (target->json)
        fputs("[", stdout);
    if (target->control)
        ask_control(target, &listing);
    else
        instances_each(target->name, ask_one, &listing);
    if (target->json)
        puts("]");
    else if (listing.count == 0 && listing.exit_code == EXIT_STOPPED)
        tell_none(target);
    return listing.exit_code;
}
