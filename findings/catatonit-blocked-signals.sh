#!/usr/bin/env bash
# catatonit 0.1.7: the program that it starts has SIGTSTP, SIGTTIN and SIGTTOU blocked.
#
# An init for containers, as tini and dumb-init, which both restore the mask. A shell in between can hide it: dash clears the
# mask when it starts.
# One would guess: an init of this kind starts its program with the signal mask it was given. Ctrl-Z, and a program that stops itself
# with SIGTSTP, do nothing, and each descendant inherits this.
source "$(dirname "$0")/common.sh"

unpack_debs catatonit tini dumb-init
blocked() { # COMMAND...
    "$@" grep SigBlk /proc/self/status 2>/dev/null | cut -f2
}
expect 'plain, blocked signals' "$(blocked env)" 0000000000000000
expect 'tini, blocked signals' "$(blocked "$work/root/usr/bin/tini" --)" 0000000000000000
expect 'dumb-init, blocked signals' "$(blocked "$work/root/usr/bin/dumb-init")" 0000000000000000
expect 'catatonit, blocked signals (bits 19 to 21: signals 20 to 22)' \
    "$(blocked "$work/root/usr/bin/catatonit" --)" 0000000000380000
expect 'catatonit and dash, blocked signals' \
    "$("$work/root/usr/bin/catatonit" -- dash -c 'grep SigBlk /proc/self/status' | cut -f2)" 0000000000000000
finish
