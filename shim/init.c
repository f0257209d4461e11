/* init.c - what happens when the library is loaded: nothing that a process without $SSHIM_BROKER
 * could notice. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "shim/base/env.h"
#include "shim/base/fdroom.h"
#include "shim/base/next.h"
#include "shim/listen/recognise.h"
#include "shim/record/proxied.h"
#include "shim/record/vlisten.h"
#include "shim/take/wait.h"

static void on_fork_child(void)
{
    wait_on_fork();
    vlisten_on_fork();
    fdroom_on_fork();
}

/* The name of this file tells the broker which worker this process and its children belong to. */
static void map_token_file(void)
{
    char name[sizeof WIRE_TOKEN_FILE - 1 + WIRE_TOKEN_TEXT_SIZE] = WIRE_TOKEN_FILE;
    int saved = errno;

    wire_format_token(env.auth.token, name + strlen(name));
    int fd = (int)NEXT(syscall)(SYS_memfd_create, name, MFD_CLOEXEC);
    if (fd >= 0) {
        mmap(NULL, 1, PROT_NONE, MAP_SHARED, fd, 0); /* until the process ends or executes */
        NEXT(close)(fd);
    }
    errno = saved;
}

__attribute__((constructor)) static void init(void)
{
    next_resolve();
    if (!env_managed())
        return;
    vlisten_recognise = recognise_fd;
    recognise_find_inherited();
    proxied_note_use(env.proxied);
    pthread_atfork(vlisten_before_fork, NULL, on_fork_child);
    if (env.auth.slot != WIRE_SLOT_NONE)
        map_token_file();
}
