/* glance.c - see glance.h; proc(5). */
#include "broker/base/process/glance.h"

#include <fcntl.h>
#include <inttypes.h>
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
    char path[48];

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

struct fd_question {
    pid_t pid;
    int fd;
};

static FILE *open_fdinfo(const void *bytes)
{
    const struct fd_question *question = bytes;
    char name[32];

    snprintf(name, sizeof name, "fdinfo/%d", question->fd);
    return open_file(question->pid, name);
}

static bool read_closes_on_exec(const void *question, void *answer)
{
    char line[256];
    unsigned flags = 0;
    FILE *file = open_fdinfo(question);

    (void)answer;
    while (file && fgets(line, sizeof line, file) && sscanf(line, "flags: %o", &flags) != 1)
        ;
    if (file)
        fclose(file);
    return flags & O_CLOEXEC;
}

/* Lines of proc_pid_fdinfo(5): "tfd: 5 events: 19 data: 5 pos:0 ino:2a sdev:8". */
static bool read_polled(const void *question, void *answer)
{
    struct glance_polled *polled = answer;
    char line[256];
    bool fits = true;
    FILE *file = open_fdinfo(question);

    if (!file)
        return false;
    polled->count = 0;
    while (fits && fgets(line, sizeof line, file)) {
        const char *text = strstr(line, "ino:");
        if (!text || strncmp(line, "tfd:", 4) != 0)
            continue;
        fits = polled->count < GLANCE_POLLED_MAX &&
               sscanf(text, "ino:%" SCNx64, &polled->inos[polled->count++]) == 1;
    }
    fclose(file);
    return fits;
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

bool glance_closes_on_exec(pid_t pid, int fd)
{
    struct fd_question question = {pid, fd};
    char none;

    return aside_ask(read_closes_on_exec, pid, &question, sizeof question, &none, 0);
}

bool glance_list_polled(pid_t pid, int epoll_fd, struct glance_polled *polled)
{
    struct fd_question question = {pid, epoll_fd};

    return aside_ask(read_polled, pid, &question, sizeof question, polled, sizeof *polled);
}
