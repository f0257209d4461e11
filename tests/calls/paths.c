/* paths.c - AF_UNIX: paths and abstract names. */
#include <sys/stat.h>

#include "calls.h"

#define ADDR(a) ((struct sockaddr *)&(a))

static struct sockaddr_un path_of(const char *name)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s%s", folder, name);
    return addr;
}

static void try_path(const char *name)
{
    struct sockaddr_un addr = path_of(name);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    printf(" bind %s\n", name);
    SHOW(bind(fd, ADDR(addr), sizeof addr));
    close(fd);
}

static void show_mode(const char *path)
{
    struct stat info = {0};

    SHOW(stat(path, &info));
    printf("  mode %o, owner %s\n", (unsigned)info.st_mode,
           info.st_uid == geteuid() ? "ME" : "another");
}

/* What the rights of the socket and of the process make of the path's. */
static void rights(void)
{
    struct sockaddr_un addr = path_of("/r");
    struct stat info = {0};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    puts("rights of a path");
    umask(077);
    SHOW(fchmod(fd, 0751));
    SHOW(bind(fd, ADDR(addr), sizeof addr));
    show_mode(addr.sun_path);
    SHOW(chmod(addr.sun_path, 0660));
    show_mode(addr.sun_path);
    SHOW(fchmod(fd, 0700));
    show_mode(addr.sun_path);
    SHOW(listen(fd, 4));
    SHOW(chown(addr.sun_path, geteuid(), (gid_t)-1));
    show_mode(addr.sun_path);
    SHOW(fstat(fd, &info));
    printf("  kind %o\n", (unsigned)(info.st_mode & S_IFMT));
    SHOW(access(addr.sun_path, W_OK));
    SHOW(truncate(addr.sun_path, 0));
    SHOW(open(addr.sun_path, O_RDWR));
    int client_fd = client_of(fd);
    close(client_fd);
    SHOW(close(fd));
    show_mode(addr.sun_path);
    SHOW(unlink(addr.sun_path));
    umask(027);
}

static void serve_path(void)
{
    struct sockaddr_un addr = path_of("/s");
    struct sockaddr_storage peer;
    struct stat info;
    int value;
    socklen_t len = sizeof value;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    int other_fd = socket(AF_UNIX, SOCK_STREAM, 0);

    puts("a path");
    umask(027);
    SHOW(bind(fd, ADDR(addr), sizeof addr));
    show_name(fd);
    SHOW(stat(addr.sun_path, &info));
    printf("  mode %o\n", (unsigned)info.st_mode);
    SHOW(bind(other_fd, ADDR(addr), sizeof addr));
    SHOW(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len));
    SHOW(listen(fd, 4));
    SHOW(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len));
    SHOW(getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &value, &len));
    SHOW(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &len));
    printf("  type %d\n", value);
    SHOW(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &value, sizeof value));
    int client_fd = client_of(fd);
    len = sizeof peer;
    int conn_fd = (int)SHOW(accept(fd, ADDR(peer), &len));
    show_address("peer", &peer, len, sizeof peer);
    show_name(conn_fd);
    struct ucred who;
    len = sizeof who;
    SHOW(getsockopt(conn_fd, SOL_SOCKET, SO_PEERCRED, &who, &len));
    printf("  peer is %s\n", who.pid == getpid() ? "PID" : "another");
    close(conn_fd);
    close(client_fd);
    SHOW(close(fd));
    SHOW(bind(other_fd, ADDR(addr), sizeof addr));
    SHOW(close(other_fd));
    other_fd = socket(AF_UNIX, SOCK_STREAM, 0);
    SHOW(unlink(addr.sun_path));
    SHOW(bind(other_fd, ADDR(addr), sizeof addr));
    SHOW(bind(other_fd, ADDR(addr), sizeof addr));
    SHOW(close(other_fd));
}

static void abstract(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                                snprintf(addr.sun_path + 1, 40, "calls-%d", port));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    int other_fd = socket(AF_UNIX, SOCK_STREAM, 0);

    puts("an abstract name");
    SHOW(bind(fd, ADDR(addr), len));
    SHOW(bind(other_fd, ADDR(addr), len));
    SHOW(listen(fd, 4));
    int client_fd = client_of(fd);
    int conn_fd = (int)SHOW(accept(fd, NULL, NULL));
    close(conn_fd);
    close(client_fd);
    close(fd);
    puts("a name of the kernel's choice");
    SHOW(bind(other_fd, ADDR(addr), sizeof(sa_family_t)));
    SHOW(listen(other_fd, 4));
    close(other_fd);
}

void cases_paths(void)
{
    puts("paths");
    try_path("/missing/s");
    try_path("/");
    try_path("/.");
    try_path(
        "/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
        "8901234567890123456789");
    rights();
    serve_path();
    abstract();
}
