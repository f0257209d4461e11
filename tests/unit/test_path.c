/* test_path.c - broker/pool/path.c: whose name in which folder, and that no more than the file that
 * was bound is removed. */
#include "broker/pool/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "unit.h"

static char folder[] = "/tmp/sshim-t.unit.XXXXXX";

static int open_folder(int flags)
{
    return open(folder, flags | O_DIRECTORY | O_CLOEXEC);
}

static void a_plain_name_in_a_folder_is_taken(void)
{
    struct path a, b;

    CHECK(path_open(&a, open_folder(O_PATH), "x") == 0 && path_is_sound(&a));
    CHECK(path_open(&b, open_folder(O_PATH), "x") == 0 && path_equal(&a, &b));
    path_close(&b);
    CHECK(b.folder_fd == -1);
    CHECK(path_open(&b, open_folder(O_PATH), "y") == 0 && !path_equal(&a, &b));
    path_close(&b);
    CHECK(path_open(&b, open("/", O_PATH | O_CLOEXEC), "x") == 0 && !path_equal(&a, &b));
    path_close(&a);
    path_close(&b);
}

static bool is_refused(int fd, const char *name, int error)
{
    struct path path;

    errno = 0;
    bool refused = path_open(&path, fd, name) == -1 && errno == error;
    close(fd);
    return refused;
}

static void what_is_no_name_or_no_folder_is_refused(void)
{
    CHECK(is_refused(open_folder(O_PATH), "", EINVAL));
    CHECK(is_refused(open_folder(O_PATH), ".", EINVAL));
    CHECK(is_refused(open_folder(O_PATH), "..", EINVAL));
    CHECK(is_refused(open_folder(O_PATH), "a/b", EINVAL));
    CHECK(is_refused(open_folder(O_RDONLY), "x", EINVAL));
    CHECK(is_refused(open("/proc/self/exe", O_PATH | O_CLOEXEC), "x", ENOTDIR));
}

static void a_record_that_leads_elsewhere_is_not_sound(void)
{
    struct path path, bad;

    CHECK(path_open(&path, open_folder(O_PATH), "x") == 0);
    bad = path;
    strcpy(bad.name, "../x");
    CHECK(!path_is_sound(&bad));
    bad = path;
    memset(bad.name, 'x', sizeof bad.name);
    CHECK(!path_is_sound(&bad));
    bad = path;
    bad.owner.group_count = PATH_GROUPS_MAX + 1;
    CHECK(!path_is_sound(&bad));
    path_close(&path);
}

/* As the worker does: a socket with this name, by this process. */
static int bind_file(struct path *path, const char *name)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int link[2];
    struct stat info;

    snprintf(addr.sun_path, sizeof addr.sun_path, "%s/%s", folder, name);
    CHECK(bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0);
    CHECK(stat(addr.sun_path, &info) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) == 0);
    CHECK(path_open(path, open_folder(O_PATH), name) == 0);
    path_note_bound(path, info.st_ino, link[0]);
    CHECK(path->ino == info.st_ino && path->owner.uid == geteuid());
    close(link[0]);
    close(link[1]);
    return fd;
}

static bool exists(const char *name)
{
    char text[sizeof folder + 8];

    snprintf(text, sizeof text, "%s/%s", folder, name);
    return access(text, F_OK) == 0;
}

static void the_file_that_was_bound_is_removed(void)
{
    struct path path;
    int fd = bind_file(&path, "s");

    path_remove(&path, fd);
    path_await_removals(0, 10000);
    CHECK(!exists("s"));
    path_close(&path);
    close(fd);
}

static void a_file_that_came_in_its_place_stays(void)
{
    struct path path, other;
    char text[sizeof folder + 8];
    int fd = bind_file(&path, "s");

    snprintf(text, sizeof text, "%s/s", folder);
    CHECK(unlink(text) == 0);
    int other_fd = bind_file(&other, "s");
    path_remove(&path, fd);
    path_await_removals(0, 10000);
    CHECK(exists("s"));
    path_remove(&other, other_fd);
    path_await_removals(0, 10000);
    CHECK(!exists("s"));
    path_close(&path);
    path_close(&other);
    close(fd);
    close(other_fd);
}

int main(void)
{
    path_init();
    CHECK(mkdtemp(folder) != NULL);
    unit_run("path: a plain name in a folder is taken", a_plain_name_in_a_folder_is_taken);
    unit_run("path: what is no name or no folder is refused",
             what_is_no_name_or_no_folder_is_refused);
    unit_run("path: a record that leads elsewhere is not sound",
             a_record_that_leads_elsewhere_is_not_sound);
    unit_run("path: the file that was bound is removed", the_file_that_was_bound_is_removed);
    unit_run("path: a file that came in its place stays", a_file_that_came_in_its_place_stays);
    rmdir(folder);
    return unit_end();
}
