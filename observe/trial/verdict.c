/* verdict.c - see verdict.h. */
#include "observe/trial/verdict.h"

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "observe/trial/evidence.h"

static bool both(const bool flags[TRACER_COPIES])
{
    return flags[FIRST] && flags[SECOND];
}

/* What a database keeps beside its file. */
static bool is_beside_database(const struct thing *thing)
{
    static const char *const ends[] = {"-journal", "-wal", "-shm"};
    size_t len = strlen(thing->name);
    char name[PATH_MAX];

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        size_t end = strlen(ends[i]);
        if (len <= end || strcmp(thing->name + len - end, ends[i]) != 0)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(len - end), thing->name);
        const struct thing *database = evidence_find(name);
        return database && database->is_database;
    }
    return false;
}

struct verdict {
    const char *what; /* NULL: nothing to trip over */
    const char *remedy;
};

#define NAME_EACH "put {id} into its name in the server's arguments"
#define PLACE_EACH                                                                                 \
    NAME_EACH ", give each copy a folder of its own (--chdir FOLDER/{id}, or --env for a server "  \
              "that reads a variable), or a configuration file of its own ({id} in its path)"
#define OWN_PID_FILE                                                                               \
    "switch it off and let sshim write such files (--pidfile-dir FOLDER), or " NAME_EACH
#define OWN_DATABASE "give each copy a database of its own ({id} in its path), or run one (-w 1)"
#define OWN_PORT                                                                                   \
    "give each copy a port of its own ({id} in the server's arguments, as 910{id}), switch it "    \
    "off, or run one copy (-w 1)"

static struct verdict judge_address(const struct thing *thing)
{
    bool is_file = thing->name[0] == '/';

    if (thing->is_in_use && is_file)
        return (struct verdict){"the first copy has bound this socket, so the second cannot",
                                PLACE_EACH};
    if (thing->is_in_use && thing->type == SOCK_STREAM)
        return (struct verdict){"this address is not shared, and the first copy has it",
                                "share it (--share ADDR), or give each copy its own (--unshared "
                                "PORT+{id}, or {id} in the server's arguments)"};
    if (thing->is_in_use)
        return (struct verdict){"this address cannot be shared, and the first copy has it",
                                OWN_PORT};
    if (!both(thing->binds))
        return (struct verdict){NULL, NULL};
    if (is_file)
        return (struct verdict){"the second copy takes this socket away from the first one",
                                PLACE_EACH};
    if (thing->type == SOCK_DGRAM)
        return (struct verdict){"both copies bind it, and each datagram reaches only one of them",
                                OWN_PORT};
    return (struct verdict){NULL, NULL};
}

static struct verdict judge_database(const struct thing *thing)
{
    if (!thing->locks[SECOND] && (thing->is_locked || thing->waits))
        return (struct verdict){"database that the first copy has locked", OWN_DATABASE};
    if (both(thing->writes))
        return (struct verdict){"database that both copies write, one after the other",
                                "nothing, if the server expects other writers; else " OWN_DATABASE};
    return (struct verdict){NULL, NULL};
}

static struct verdict judge_file(const struct thing *thing)
{
    bool is_kept = !thing->locks[SECOND] && (thing->is_locked || thing->waits);

    if (thing->has_pid && both(thing->writes) && !is_kept)
        return (struct verdict){"pid file that each copy writes over: it names the last one alone",
                                OWN_PID_FILE};
    if (thing->has_pid && (thing->exists || is_kept))
        return (struct verdict){"pid file that the first copy holds", OWN_PID_FILE};
    if (is_kept)
        return (struct verdict){"the first copy holds a lock on this file, and the second does not "
                                "get it",
                                PLACE_EACH};
    if (thing->exists && !thing->writes[SECOND])
        return (struct verdict){"the first copy has made this file, so the second cannot make it",
                                PLACE_EACH};
    if (!both(thing->writes) || thing->is_moved || both(thing->locks))
        return (struct verdict){NULL, NULL};
    if (both(thing->replaces))
        return (struct verdict){"each copy puts its own file in this place: what the other one has "
                                "saved is lost",
                                PLACE_EACH};
    if (thing->appends[FIRST] && thing->appends[SECOND])
        return (struct verdict){NULL, NULL};
    return (struct verdict){"both copies write this file without O_APPEND, so they write over each "
                            "other",
                            "log to standard output (--log-prefix), or " PLACE_EACH};
}

static struct verdict judge(const struct thing *thing)
{
    if (thing->binds[FIRST] || thing->name[0] != '/')
        return judge_address(thing);
    if (is_beside_database(thing))
        return (struct verdict){NULL, NULL};
    return thing->is_database ? judge_database(thing) : judge_file(thing);
}

unsigned verdict_print(FILE *out)
{
    const struct thing *thing;
    unsigned count = 0;

    for (unsigned i = 0; (thing = evidence_at(i)) != NULL; i++) {
        struct verdict verdict = judge(thing);
        if (!verdict.what)
            continue;
        count++;
        fprintf(out, "%s: %s; %s\n", thing->name, verdict.what, verdict.remedy);
    }
    fflush(out);
    return count;
}
