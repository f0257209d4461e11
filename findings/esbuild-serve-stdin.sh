#!/usr/bin/env bash
# esbuild 0.28.2: `esbuild --serve` with /dev/null as its stdin ends at once, with status 0.
#
# It reads stdin and takes the end of it for the wish of whoever started it that it stop; so a pipe or a terminal keeps it up, and
# /dev/null, a file or a closed stdin end it. --watch=forever switches that off, for --serve too. It says why on stderr.
# One would guess: a server does not look at stdin. Under systemd and `docker run -d` stdin is /dev/null; and as the status is 0,
# Restart=on-failure does not even try again.
source "$(dirname "$0")/common.sh"

install_npm @esbuild/linux-x64@0.28.2
attempt() { # STDIN OPTION...: puts the exit status into $status; "runs" if it still does after five seconds
    local stdin=$1
    shift
    setsid "$work/node_modules/@esbuild/linux-x64/bin/esbuild" --servedir="$work" --serve="127.0.0.1:$(free_port)" "$@" \
        <"$stdin" >"$work/log" 2>&1 &
    started+=("$!")
    wait_end "$!"
}
mkfifo "$work/pipe"
exec 9<>"$work/pipe" # so it has a writer
attempt "$work/pipe"
expect 'a pipe that stays open' "$status" runs
attempt /dev/null
expect '/dev/null, exit status' "$status" 0
expect 'what it says' "$(grep -o 'stopped automatically' "$work/log")" 'stopped automatically'
attempt /dev/null --watch=forever
expect '/dev/null and --watch=forever' "$status" runs
finish
