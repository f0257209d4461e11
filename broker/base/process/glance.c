/* glance.c - see glance.h; proc(5). */
#include "broker/base/process/glance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/process/aside.h"

#define BYTES_MAX (1 << 20) /* about 10 ms for the kernel */

struct question {
    pid_t pid;
    char name[192];
};

struct answer {
    char text[4096 + 1];
};

static FILE *open_file(pid_t pid, const char *name)
{
    char path[32];

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return fopen(path, "re");
}

/* --- in the helper --- */

static bool find_environment(const void *bytes, void *into)
{
    const struct question *question = bytes;
    struct answer *answer = into;
    size_t name_len = strlen(question->name);
    FILE *file = open_file(question->pid, "environ");
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    size_t seen = 0;
    bool found = false;

    if (!file)
        return false;
    while (!found && seen < BYTES_MAX && (len = getdelim(&line, &room, '\0', file)) > 0) {
        seen += (size_t)len;
        found = strncmp(line, question->name, name_len) == 0 && line[name_len] == '=';
    }
    if (found)
        snprintf(answer->text, sizeof answer->text, "%s", line + name_len + 1);
    free(line);
    fclose(file);
    return found;
}

static bool find_mapping(const void *bytes, void *into)
{
    const struct question *question = bytes;
    struct answer *answer = into;
    FILE *file = open_file(question->pid, "maps");
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    size_t seen = 0;
    const char *found = NULL;

    if (!file)
        return false;
    while (!found && seen < BYTES_MAX && (len = getline(&line, &room, file)) > 0) {
        seen += (size_t)len;
        found = strstr(line, question->name);
    }
    if (found)
        snprintf(answer->text, sizeof answer->text, "%s", found + strlen(question->name));
    free(line);
    fclose(file);
    return found;
}

/* --- in the broker --- */

static bool ask(aside_work *work, pid_t pid, const char *name, char *text, size_t size)
{
    struct question question = {.pid = pid};
    static struct answer answer;

    snprintf(question.name, sizeof question.name, "%s", name);
    if (!aside_ask(work, pid, &question, sizeof question, &answer, sizeof answer))
        return false;
    snprintf(text, size, "%s", answer.text);
    return true;
}

bool glance_get_environment(pid_t pid, const char *name, char *value, size_t size)
{
    return ask(find_environment, pid, name, value, size);
}

bool glance_get_mapped_name(pid_t pid, const char *prefix, char *rest, size_t size)
{
    return ask(find_mapping, pid, prefix, rest, size);
}

bool glance_maps(pid_t pid, const char *file_name)
{
    char rest[1];

    return glance_get_mapped_name(pid, file_name, rest, sizeof rest);
}
