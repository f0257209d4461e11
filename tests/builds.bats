#!/usr/bin/env bats
# Builds with options of distributions, and what the binaries need.

load helpers

build_with() { # OPTIONS...: into $TMP/build
    make -C "$ROOT" -s -j2 BUILD="$TMP/build" "$@" WARN="-Wall -Wextra -Werror" all
}

exported() { # LIBRARY
    nm -D --defined-only "$1" | awk '{ print $3 }'
}

@test "broker and library need no newer glibc than that of Debian 12" {
    local newest
    for file in "$SSHIM" "$LIB"; do
        newest=$(objdump -T "$file" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1)
        echo "$file: $newest"
        [[ $(printf '%s\n' GLIBC_2.36 "$newest" | sort -V | tail -n 1) == GLIBC_2.36 ]]
    done
}

# glibc 2.38 gives them a second name where _GNU_SOURCE is defined; the compiler of Debian 12 cannot show that.
@test "the broker reads numbers by the names that every glibc has" {
    cat >"$TMP/number.c" <<'END'
#include <stdlib.h>
#if defined __GLIBC_USE_C2X_STRTOL && __GLIBC_USE_C2X_STRTOL || defined __GLIBC_USE_C23_STRTOL && __GLIBC_USE_C23_STRTOL
#error second names
#endif
END
    cc -D_GNU_SOURCE -I"$ROOT" -include proto/platform.h -c -o "$TMP/number.o" "$TMP/number.c"
}

@test "a hardened build has no warning and imports nothing else" {
    build_with CFLAGS="-O2 -g -D_FORTIFY_SOURCE=3 -fstack-protector-strong"
    "$ROOT/scripts/check-imports.sh" "$TMP/build/libsshim.so"
}

@test "a build with large files and 64-bit time exports the same calls" {
    build_with CFLAGS="-O1" CPPFLAGS="-D_GNU_SOURCE -I. -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64"
    diff <(exported "$LIB") <(exported "$TMP/build/libsshim.so")
}

# What a system of musl has under /usr/include beside its libc: the headers of Linux, and the lists of BSD.
headers_beside_musl() { # FOLDER
    local folder
    mkdir -p "$1/sys"
    for folder in linux asm-generic; do ln -s "/usr/include/$folder" "$1"; done
    ln -s "/usr/include/$(cc -print-multiarch)/asm" "$1"
    ln -s "/usr/include/$(cc -print-multiarch)/sys/queue.h" "$1/sys"
}

@test "a broker of musl serves" {
    headers_beside_musl "$TMP/headers"
    make -C "$ROOT" -s -j2 BUILD="$TMP/build" CC=musl-gcc WARN="-Wall -Wextra -Werror" CFLAGS=-O1 \
        CPPFLAGS="-D_GNU_SOURCE -I. -idirafter $TMP/headers" "$TMP/build/sshim"
    cp "$LIB" "$TMP/build"
    SSHIM=$TMP/build/sshim
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    all_answer 2
    "$SSHIM" kill 0 SEGV --control "$CONTROL" # musl does not tell a signal's name
    wait_until log_has "ended by signal 11 "
    wait_until workers_ready 2
    all_answer 2
    stop_broker
    # shellcheck disable=SC2153 # set by stop_broker
    [[ $STATUS == 0 ]]
}
