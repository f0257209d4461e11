#!/bin/sh
# check-imports.sh [LIBRARY] - the library may import from libc only what is listed here: nothing that
# allocates, locks, starts threads, prints or exits. Prints what is not permitted, exit 1.
set -eu

library=${1:-build/libsshim.so}

# The linker's own; errno; where the next function is; who and where we are, and whether alone; fileno only reads a number
# (the hook on fclose); pure functions over memory; system calls.
allowed='
__cxa_finalize __gmon_start__ _ITM_deregisterTMCloneTable _ITM_registerTMCloneTable __stack_chk_fail
__errno_location
dlsym dl_iterate_phdr getenv getauxval __register_atfork pthread_setcancelstate fileno __libc_single_threaded
memchr memcmp memcpy memmove memset strchr strcmp strlen strncmp strrchr strstr
environ __environ clock_gettime getpid geteuid getrlimit epoll_ctl fstat fstatat lstat mmap munmap open openat read readlink recvmsg
sendmsg writev
'

needed=$(readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
if [ "$needed" != libc.so.6 ]; then
    echo "$library must need libc.so.6 and nothing else, but needs: $needed"
    exit 1
fi
failed=0
# A hardened build calls the checked form of the same function, __memcpy_chk for memcpy; __fdelt_chk checks FD_SET.
for name in $(nm -D --undefined-only "$library" | sed 's/.* //; s/@.*//; s/^__fdelt_chk$/memcpy/; s/^__\(.*\)_chk$/\1/'); do
    if ! printf '%s' "$allowed" | tr ' ' '\n' | grep -qx "$name"; then
        echo "$library imports $name, which is not in the list of scripts/check-imports.sh"
        failed=1
    fi
done
exit $failed
