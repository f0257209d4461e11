#!/usr/bin/env bash
# busybox 1.35.0 (ash): `busybox sh -c 'server'` starts the server with SIGQUIT ignored.
#
# The shell ignores SIGQUIT for itself. It executes the last command of -c in place, and its ignored SIGQUIT goes along; a forked child
# gets the default back. With `exec server`, or with a second command after it, SIGQUIT has its default.
# One would guess: all three start the server alike, as with dash and bash. A program that leaves SIGQUIT alone cannot be
# ended by it; a service manager whose stop signal is SIGQUIT waits in vain.
source "$(dirname "$0")/common.sh"

unpack_debs busybox-static
ln -s "$work/root/bin/busybox" "$work/sh"
mask() { # SHELL COMMAND
    "$1" -c "$2" | cut -f2
}
show='grep SigIgn /proc/self/status'
expect 'busybox, command' "$(mask "$work/sh" "$show")" 0000000000000004
expect 'busybox, exec command' "$(mask "$work/sh" "exec $show")" 0000000000000000
expect 'busybox, command; another' "$(mask "$work/sh" "$show; :")" 0000000000000000
expect 'dash, command' "$(mask dash "$show")" 0000000000000000
expect 'bash, command' "$(mask bash "$show")" 0000000000000000

"$work/sh" -c 'sleep 30' &
pid=$!
wait_for grep -q sleep "/proc/$pid/cmdline"
kill -QUIT "$pid"
sleep 0.3
expect 'after SIGQUIT the program' "$(kill -0 "$pid" 2>/dev/null && echo runs)" runs
kill -KILL "$pid"
wait "$pid" 2>/dev/null
finish
