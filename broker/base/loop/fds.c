/* fds.c - see fds.h. */
#include "broker/base/loop/fds.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* asm-generic/socket.h */
#endif

int fds_make_memory(const char *name, size_t size_bytes, bool may_seal)
{
    int fd = memfd_create(name, MFD_CLOEXEC | (may_seal ? MFD_ALLOW_SEALING : 0));

    if (fd >= 0 && ftruncate(fd, (off_t)size_bytes) == 0)
        return fd;
    fds_close(fd);
    return -1;
}

void *fds_map_memory(int fd, size_t size_bytes)
{
    void *memory = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

void fds_close(int fd)
{
    int saved = errno;

    if (fd >= 0)
        close(fd);
    errno = saved;
}

int fds_get_option(int fd, int option)
{
    int value = -1;
    socklen_t len = sizeof value;

    return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 ? value : -1;
}

static bool set_passrights(int socket_fd, int value)
{
    return setsockopt(socket_fd, SOL_SOCKET, SO_PASSRIGHTS, &value, sizeof value) == 0;
}

bool fds_refuse(int socket_fd)
{
    return set_passrights(socket_fd, 0);
}

void fds_permit(int socket_fd)
{
    set_passrights(socket_fd, 1);
}
