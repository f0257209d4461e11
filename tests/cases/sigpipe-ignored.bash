#!/usr/bin/env bash
# Started with SIGPIPE ignored, as service managers do: the copies inherit that, and a client that hangs up kills none.
. "${0%/*}/lib/case.bash"

# The disposition as the program finds it: an interpreter would set its own.
server() { # PORT
    sed -n 's/^SigIgn:[[:space:]]*/ignores /p' /proc/self/status
    exec python3 -m http.server "$1" --bind 127.0.0.1
}

try() { # WAY
    local port
    port=$(free_port)
    trap '' PIPE
    start "$1" "$port"
    trap - PIPE
    wait_until says ignores
    local mask
    mask=$(sed -n 's/^ignores //p' "$work/out" | head -n 1)
    expect "SIGPIPE is ignored in the program" "$((16#$mask >> 12 & 1))" 1
}

cases native "-w 1"
