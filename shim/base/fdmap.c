/* fdmap.c - the table behind fdmap.h, and the two walks over it. */
#include "shim/base/fdmap.h"

_Atomic struct fdmap_entry fdmap_table[FDMAP_SIZE];
_Atomic int fdmap_last_conn = -1;

void fdmap_forget_connections(void)
{
    int last = atomic_load(&fdmap_last_conn);

    for (int fd = 0; fd <= last; fd++)
        if (fdmap_get(fd).kind == FDMAP_CONN)
            fdmap_set(fd, FDMAP_FOREIGN, 0);
    atomic_store(&fdmap_last_conn, -1);
}

/* Listeners and hidden descriptors sit below this: see fdmap_find. */
#define SEARCHED 65536

int fdmap_find(int fd, enum fdmap_kind kind)
{
    for (; fd < SEARCHED; fd++)
        if (fdmap_get(fd).kind == kind)
            return fd;
    return -1;
}
