# shellcheck shell=bash
# What the findings share. Each script sources it first and calls `finish` last.
# It makes a temp folder, ends every process that start() began, and removes the folder, however the script ends.

set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d /tmp/finding.XXXXXX) || exit 2
started=()
changed=0
status=

clean_up() {
    local pid tries
    trap - EXIT
    exec 2>/dev/null # the shell would report each that was killed
    for pid in ${started[@]+"${started[@]}"}; do
        kill -TERM -- "-$pid"
        for ((tries = 0; tries < 30; tries++)); do
            kill -0 "$pid" || break
            sleep 0.1
        done
        kill -KILL -- "-$pid"
    done
    wait
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

give_up() { # REASON: the finding could not be tried
    printf 'not tried: %s\n' "$1" >&2
    exit 2
}

# Packages of this Debian release, unpacked under $work/root and not installed.
unpack_debs() { # PACKAGE...
    local file
    (cd "$work" && timeout 120 apt-get -qq download "$@" >"$work/apt.log" 2>&1) || give_up "$(tail -n 1 "$work/apt.log")"
    for file in "$work"/*.deb; do
        dpkg-deb -x "$file" "$work/root" || give_up "cannot unpack ${file##*/}"
        printf 'package: %s\n' "$(dpkg-deb -W "$file" | tr '\t' ' ')"
        rm "$file"
    done
}

# Runs a command with the libraries and the Python modules of unpack_debs. Debian's modules are for Debian's Python.
with_debs() { # COMMAND...
    env PATH="/usr/bin:$PATH" PYTHONPATH="$work/root/usr/lib/python3/dist-packages" \
        LD_LIBRARY_PATH="$work/root/usr/lib/$(uname -m)-linux-gnu" "$@"
}

# Packages of the npm registry, under $work/node_modules. Their install scripts do not run.
install_npm() { # NAME@VERSION...
    timeout 300 npm install --prefix "$work" --cache "$work/npm-cache" --ignore-scripts --no-save --no-audit --no-fund "$@" \
        >"$work/npm.log" 2>&1 || give_up "$(tail -n 1 "$work/npm.log")"
    printf 'package: %s\n' "$@"
}

# Runs a command in the background, in a process group of its own. Its pid is in $!.
start_alone() { # COMMAND...
    setsid "$@" </dev/null &
    started+=("$!")
}

# The same for at most 60 seconds. $! is timeout(1), which sends the signals that it gets to the whole group.
start() { # COMMAND...
    start_alone timeout -k 1 60 "$@"
}

# Puts the exit status of a program that start_alone() began into $status, or "runs" if it has not ended in five seconds.
wait_end() { # PID
    local tries
    status=runs
    for ((tries = 0; tries < 50; tries++)); do
        kill -0 "$1" 2>/dev/null || break
        sleep 0.1
    done
    ((tries == 50)) && return
    wait "$1" 2>/dev/null
    # shellcheck disable=SC2034 # the scripts read it
    status=$?
}

# Tries a command until it succeeds, for at most ten seconds.
wait_for() { # COMMAND...
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.1
    done
    printf 'waited in vain for: %s\n' "$*"
    return 1
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

is_listening() { # PORT
    [[ -n $(ss -Htln "sport = :$1") ]]
}

fetch() { # PORT [PATH]
    curl -s -m 3 "http://127.0.0.1:$1/${2-}"
}

# Makes $work/calls.so, which says on stderr which calls go through libc, and tries it on a program that makes some.
build_calls() {
    local seen
    cc -shared -fPIC -O1 -w -o "$work/calls.so" "$here/calls.c" || give_up 'cannot build calls.c'
    seen=$(LD_PRELOAD="$work/calls.so" python3 -c '
import os, select
epoll = select.epoll()
epoll.register(os.pipe()[0], select.EPOLLIN)
epoll.poll(0)' 2>&1)
    [[ $seen == $'epoll_ctl add\nepoll wait' ]] || give_up "calls.so sees of Python: $seen"
}

# Prints what was seen. If it is not what the finding says, the script fails in the end.
expect() { # WHAT SEEN WANTED
    printf '%s: %s\n' "$1" "$2"
    [[ $2 == "$3" ]] && return
    printf 'CHANGED. It was: %s\n' "$3"
    changed=1
}

finish() {
    exit "$changed"
}
