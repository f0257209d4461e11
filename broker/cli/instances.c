/* instances.c - see instances.h. */
#include "broker/cli/instances.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/base/log.h"
#include "broker/cli/broker_socket.h"
#include "broker/cli/runtime_paths.h"
#include "proto/fdpass.h"
#include "proto/wire.h"

#define SUFFIX ".sock"
#define IN_FOLDER                                                                                  \
    "control.sock" /* of an instance that has a folder of its own, as a unit's has                 \
                    */

struct instances {
    const char *name;         /* only this; NULL: any */
    const char *folder;       /* only those whose socket is here; NULL: anywhere */
    instances_visitor *visit; /* NULL: they are counted and listed alone */
    void *context;
    int count;
    char first[INSTANCES_PATH_MAX];
    char listed[512];
};

static void note(struct instances *found, const char *path, const char *shown, int len)
{
    size_t used = strlen(found->listed);

    if (strlen(path) >= sizeof found->first || strcmp(path, found->first) == 0)
        return;
    if (found->count++ == 0)
        memcpy(found->first, path, strlen(path) + 1);
    if (found->visit)
        found->visit(path, found->context);
    snprintf(found->listed + used, sizeof found->listed - used, " %.*s", len, shown);
}

static bool is_in_folder(const char *path, const char *folder)
{
    size_t len = strlen(folder);

    return strncmp(path, folder, len) == 0 && path[len] == '/' && !strchr(path + len + 1, '/');
}

/* Asks it. The name is the first member of the JSON document. */
static bool has_name(int fd, const char *name)
{
    struct wire_command command = {.head = WIRE_HEAD(WIRE_COMMAND),
                                   .code = WIRE_COMMAND_STATUS_JSON};
    union {
        struct wire_head head;
        struct wire_text text;
    } message;
    char start[100];
    int len = snprintf(start, sizeof start, "{\"name\":\"%s\"", name);

    if (fdpass_send(fd, &command, WIRE_COMMAND_MIN, -1, 0) < 0)
        return false;
    ssize_t got = recv(fd, &message, sizeof message, 0);
    return got > 0 && wire_check(&message, (size_t)got, false) == WIRE_TEXT &&
           (size_t)got - WIRE_TEXT_MIN > (size_t)len &&
           memcmp(message.text.text, start, (size_t)len) == 0;
}

/* Those whose file is there were found by it. */
static bool visit_abstract(int fd, const char *path, void *context)
{
    struct instances *found = context;

    if (found->name ? has_name(fd, found->name)
                    : is_in_folder(path, found->folder) && access(path, F_OK) < 0)
        note(found, path, path, (int)strlen(path));
    return false;
}

/* NAME.sock, or the folder NAME with a socket in it. False: neither. */
static bool read_entry(const char *folder, const char *entry, char *path, size_t size, size_t *len)
{
    *len = strlen(entry);
    if (*len > strlen(SUFFIX) && strcmp(entry + *len - strlen(SUFFIX), SUFFIX) == 0) {
        *len -= strlen(SUFFIX);
        snprintf(path, size, "%s/%s", folder, entry);
        return true;
    }
    snprintf(path, size, "%s/%s/" IN_FOLDER, folder, entry);
    return entry[0] != '.' && access(path, F_OK) == 0;
}

/* Every socket in a folder behind which a broker lives. */
static void search_folder(struct instances *found, const char *folder)
{
    char path[PATH_MAX + 300];
    struct dirent *entry;
    DIR *dir = opendir(folder);
    size_t len;

    while (dir && (entry = readdir(dir)) != NULL) {
        if (!read_entry(folder, entry->d_name, path, sizeof path, &len))
            continue;
        if (found->name &&
            (len != strlen(found->name) || memcmp(entry->d_name, found->name, len) != 0))
            continue;
        if (strlen(path) < sizeof found->first && broker_socket_probe(path) == 1)
            note(found, path, entry->d_name, (int)len);
    }
    if (dir)
        closedir(dir);
}

/* Leaves the folders that were searched in looked. */
static void search(struct instances *found, char *looked, size_t size)
{
    char folder[PATH_MAX];
    size_t used = 0;

    looked[0] = '\0';
    for (unsigned i = 0; runtime_paths_search_folder(i, folder, sizeof folder); i++) {
        if (used < size)
            used += (size_t)snprintf(looked + used, size - used, "%s%s", i ? ", " : "", folder);
        found->folder = folder;
        search_folder(found, folder);
        if (!found->name)
            broker_socket_each_abstract(NULL, visit_abstract, found);
    }
    found->folder = NULL;
    if (found->name && found->count == 0)
        broker_socket_each_abstract(NULL, visit_abstract, found);
}

static void tell_several(const struct instances *found)
{
    log_error("%d instances are running:%s; choose one with --name or --control", found->count,
              found->listed);
}

static void tell_none(const struct instances *found, const char *looked)
{
    if (found->name)
        log_error("no instance '%s' is running in %s, nor elsewhere; start it with 'sshim run "
                  "--name %s -- COMMAND', or give its --control",
                  found->name, looked, found->name);
    else
        log_error("no instance is running in %s; start one with 'sshim run -- COMMAND', or give "
                  "the --control of one that is elsewhere",
                  looked);
}

static enum instances_found find(const struct config_target *target, char path[INSTANCES_PATH_MAX],
                                 bool tells_none)
{
    struct instances found = {.name = target->name};
    char looked[3 * PATH_MAX];

    if (target->control)
        return runtime_paths_control(target->control, target->name, path, INSTANCES_PATH_MAX)
                   ? INSTANCES_ONE
                   : INSTANCES_NONE;
    search(&found, looked, sizeof looked);
    if (found.count > 1) {
        tell_several(&found);
        return INSTANCES_SEVERAL;
    }
    if (found.count == 0 && tells_none)
        tell_none(&found, looked);
    memcpy(path, found.first, sizeof found.first);
    return found.count == 1 ? INSTANCES_ONE : INSTANCES_NONE;
}

enum instances_found instances_find(const struct config_target *target,
                                    char path[INSTANCES_PATH_MAX])
{
    return find(target, path, false);
}

bool instances_resolve(const struct config_target *target, char path[INSTANCES_PATH_MAX])
{
    return find(target, path, true) == INSTANCES_ONE;
}

void instances_each(const char *name, instances_visitor *visit, void *context)
{
    struct instances found = {.name = name, .visit = visit, .context = context};
    char looked[3 * PATH_MAX];

    search(&found, looked, sizeof looked);
}
