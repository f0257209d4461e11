/* pidfile.c - see pidfile.h. */
#include "broker/operate/tell/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/life/slot.h"

#define NAME_SIZE 96

static int folder_fd = -1;
static pid_t told_broker;
static pid_t *told; /* by slot; 0: there is no file. A broker that resumes writes all anew */
static unsigned told_count;
static bool failed; /* and it was said */

bool pidfile_init(void)
{
    const char *folder = broker.config.pidfile_dir;

    if (!folder)
        return true;
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd >= 0 && faccessat(folder_fd, ".", W_OK, AT_EACCESS) == 0)
        return true;
    log_error("cannot write into the folder of --pidfile-dir %s: %s; make it, and let this user "
              "write there",
              folder, strerror(errno));
    if (folder_fd >= 0)
        close(folder_fd);
    folder_fd = -1;
    return false;
}

static void name_broker(char name[NAME_SIZE])
{
    snprintf(name, NAME_SIZE, "%s.pid", broker.name);
}

static void name_slot(char name[NAME_SIZE], unsigned slot)
{
    snprintf(name, NAME_SIZE, "%s-%u.pid", broker.name, slot);
}

static bool write_new(const char *name, pid_t pid)
{
    char text[16];
    int len = snprintf(text, sizeof text, "%d\n", (int)pid);

    unlinkat(folder_fd, name, 0); /* of a broker that was killed while it wrote */
    int fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return false;
    bool written = write(fd, text, (size_t)len) == len;
    return close(fd) == 0 && written;
}

static void replace(const char *name, pid_t pid)
{
    char draft[NAME_SIZE + 4];

    snprintf(draft, sizeof draft, "%s.new", name);
    if (write_new(draft, pid) && renameat(folder_fd, draft, folder_fd, name) == 0) {
        failed = false;
        return;
    }
    if (!failed)
        log_error("cannot write %s/%s: %s; see --pidfile-dir", broker.config.pidfile_dir, name,
                  strerror(errno));
    failed = true;
}

/* pid 0: none. */
static void tell(const char *name, pid_t *known, pid_t pid)
{
    if (*known == pid)
        return;
    if (pid)
        replace(name, pid);
    else
        unlinkat(folder_fd, name, 0);
    *known = pid;
}

static bool make_room(unsigned count)
{
    pid_t *more = count > told_count ? reallocarray(told, count, sizeof *told) : told;

    if (!more && count > 0)
        return false;
    for (told = more; told_count < count; told_count++)
        told[told_count] = -1; /* a file of a broker before us may be there */
    return true;
}

void pidfile_review(void)
{
    char name[NAME_SIZE];

    if (folder_fd < 0 || !make_room(slot_count()))
        return;
    name_broker(name);
    tell(name, &told_broker, getpid());
    for (unsigned i = 0; i < told_count; i++) {
        const struct worker *worker = slot_at(i)->worker;
        name_slot(name, i);
        tell(name, &told[i], worker ? worker->pid : 0);
    }
}

void pidfile_reread(void)
{
    pidfile_finish();
    if (folder_fd >= 0)
        close(folder_fd);
    folder_fd = -1;
    told_count = 0;
    told_broker = 0;
    failed = false;
    if (pidfile_init())
        pidfile_review();
}

void pidfile_finish(void)
{
    char name[NAME_SIZE];

    if (folder_fd < 0)
        return;
    name_broker(name);
    tell(name, &told_broker, 0);
    for (unsigned i = 0; i < told_count; i++) {
        name_slot(name, i);
        tell(name, &told[i], 0);
    }
}
