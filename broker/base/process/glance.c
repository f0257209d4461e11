/* glance.c - see glance.h; proc(5). */
#include "broker/base/process/glance.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/process/aside.h"
#include "broker/base/process/procfs.h"

#define BYTES_MAX (1 << 20) /* about 10 ms for the kernel */
#define THREADS_MAX 256     /* as well */
#define X32_BIT 0x40000000  /* in the numbers of its calls */

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

/* accept, poll, select and epoll_wait in all their forms, and those of 32-bit programs on the same
 * machine. Another call of theirs with such a number counts too: the worker seems alive. */
static const long event_waits[] = {
#if defined(__x86_64__) || defined(__i386__)
    7,  23,  43,  232, 270, 271, 281, 288, 441,           /* of 64 bits */
    82, 102, 142, 168, 256, 308, 309, 319, 364, 413, 414, /* of 32; 102: socketcall */
#else
    22,  72,  73,  202, 242, 441,                     /* aarch64, riscv64 */
    142, 168, 252, 285, 335, 336, 346, 366, 413, 414, /* ARM */
#endif
};

static bool is_event_wait(long number)
{
    for (size_t i = 0; i < sizeof event_waits / sizeof event_waits[0]; i++)
        if ((number & ~X32_BIT) == event_waits[i])
            return true;
    return false;
}

/* Whether this thread sleeps in something else; adds its switches. */
static bool read_thread(pid_t thread, uint64_t *switches)
{
    char line[256];
    char state = 'R';
    uint64_t count;
    long number;
    FILE *file = open_file(thread, "status");

    while (file && fgets(line, sizeof line, file)) {
        sscanf(line, "State: %c", &state);
        if (sscanf(line, "voluntary_ctxt_switches: %" SCNu64, &count) == 1 ||
            sscanf(line, "nonvoluntary_ctxt_switches: %" SCNu64, &count) == 1)
            *switches += count;
    }
    if (file)
        fclose(file);
    if (state != 'S')
        return state != 'R';
    file = open_file(thread, "syscall");
    bool is_read = file && fscanf(file, "%ld", &number) == 1; /* else it runs by now */
    if (file)
        fclose(file);
    return is_read && !is_event_wait(number);
}

static bool read_threads(const void *question, void *answer)
{
    char path[48];
    pid_t thread;
    unsigned count = 0;
    bool all_sleep = true;

    *(uint64_t *)answer = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)*(const pid_t *)question);
    DIR *folder = opendir(path);
    while (folder && all_sleep && (thread = procfs_next(folder)) > 0)
        all_sleep = ++count <= THREADS_MAX && read_thread(thread, answer);
    if (folder)
        closedir(folder);
    return count > 0 && all_sleep;
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

bool glance_count_switches(pid_t pid, uint64_t *switches)
{
    return aside_ask(read_threads, pid, &pid, sizeof pid, switches, sizeof *switches);
}
