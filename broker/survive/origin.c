/* origin.c - see origin.h. */
#include "broker/survive/origin.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/base/log.h"
#include "broker/base/procfs.h"
#include "broker/pool/listener.h"

#define BOARD_NAME "/memfd:sshim-board"

void origin_each_board(pid_t pid, void (*visit)(const struct board *board, void *context),
                       void *context)
{
    char path[32];
    char *line = NULL;
    size_t room = 0;
    uint64_t start;
    struct board board;

    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    int memory_fd = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    while (maps && getline(&line, &room, maps) > 0)
        if (strstr(line, BOARD_NAME) && sscanf(line, "%" SCNx64, &start) == 1 &&
            pread(memory_fd, &board, sizeof board, (off_t)start) == sizeof board &&
            board.broker.magic == BOARD_MAGIC)
            visit(&board, context);
    free(line);
    if (maps)
        fclose(maps);
    if (memory_fd >= 0)
        close(memory_fd);
}

uint64_t origin_count_open(const struct board *board)
{
    uint64_t accepted = board->worker.taken + board->worker.direct;
    uint64_t closed = board->worker.closed;

    return closed < accepted ? accepted - closed : 0;
}

struct sum {
    unsigned boards;
    uint64_t open;
};

static void add_open(const struct board *board, void *context)
{
    struct sum *sum = context;

    sum->boards++;
    sum->open += origin_count_open(board);
}

bool origin_is_at_rest(pid_t pid)
{
    struct sum sum = {0};

    origin_each_board(pid, add_open, &sum);
    return sum.boards > 0 && sum.open == 0;
}

static bool is_listening_stream(int fd)
{
    int type = 0;
    int listening = 0;
    socklen_t len = sizeof type;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening;
}

static bool has_inode(int fd, ino_t ino)
{
    struct stat info;

    return fstat(fd, &info) == 0 && info.st_ino == ino;
}

int origin_take_socket(pid_t pid, ino_t ino)
{
    int number = procfs_find_socket(pid, ino);

    if (number < 0) {
        errno = ENOENT;
        return -1;
    }
    int pid_fd = pidfd_open(pid, 0);
    int fd = pid_fd < 0 ? -1 : pidfd_getfd(pid_fd, number, 0);
    int saved = errno;
    if (pid_fd >= 0)
        close(pid_fd);
    /* by now the number may be that of another one */
    if (fd >= 0 && !(has_inode(fd, ino) && is_listening_stream(fd))) {
        close(fd);
        fd = -1;
        saved = ENOENT;
    }
    errno = saved;
    return fd;
}

/* The folder of a socket file as the worker sees it; -1 where there is none. Cuts *address to the
 * name. */
static int open_folder(pid_t pid, struct address *address)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&address->storage;
    char path[PATH_MAX];
    char name[sizeof un->sun_path + 1] = {0};

    memcpy(name, un->sun_path, address->len - offsetof(struct sockaddr_un, sun_path));
    char *slash = strrchr(name, '/');
    const char *last = slash ? slash + 1 : name;
    snprintf(path, sizeof path, "/proc/%d/%s/%.*s", (int)pid, name[0] == '/' ? "root" : "cwd",
             slash ? (int)(slash - name + 1) : 0, name);
    memset(un->sun_path, 0, sizeof un->sun_path);
    memcpy(un->sun_path, last, strlen(last));
    address->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(last));
    return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

void origin_make_listener(const struct origin_socket *socket)
{
    struct address key = {.len = sizeof key.storage};
    char text[ADDRESS_TEXT_MAX];
    int folder_fd = -1;
    struct listener *listener = NULL;

    if (getsockname(socket->fd, (struct sockaddr *)&key.storage, &key.len) == 0) {
        if (address_is_path(&key))
            folder_fd = open_folder(socket->pid, &key);
        listener = listener_create(&key, 0, folder_fd);
    }
    if (!listener) {
        close(socket->fd);
        return;
    }
    if (folder_fd >= 0 && listener_guard_path(listener) && listener->path.ino)
        path_drop_old_links(&listener->path);
    fcntl(socket->fd, F_SETFL, fcntl(socket->fd, F_GETFL) | O_NONBLOCK);
    listener->listening = true;
    listener->backlog = SOMAXCONN;
    listener_set_canonical(listener, socket->fd);
    log_debug("listens on %s again", address_format(&listener->bound, text));
}
