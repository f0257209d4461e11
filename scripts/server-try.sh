#!/usr/bin/env bash
# server-try.sh RECIPE... - runs the recipe of a real server under sshim and says in one line how it went.
#
# A recipe is a script: `RECIPE start PORT` becomes the server, `RECIPE probe PORT` exits 0 when it answers
# correctly, its second line says "server: NAME   class: A|B|C|D   debian: PACKAGE+PACKAGE".
#   A, B  three copies; every probe answered, every copy answers, a clean stop
#   C     one copy; every probe answered, a clean stop
#   D     cannot be preloaded: three copies by --intercept seccomp, every probe answered, a clean stop
# Prints "NAME CLASS pass|FAIL SECONDS DETAIL"; exit 0 when all passed. For a failure the log follows on stderr.
# $SSHIM: the broker (default build/sshim beside this folder), $PROBES_MIN (20), $PROBES_MAX (60), $COPIES (3), $START_S (60).
set -u

here=$(cd "$(dirname "$0")" && pwd)
sshim=${SSHIM:-$here/../build/sshim}
probes_min=${PROBES_MIN:-20}
probes_max=${PROBES_MAX:-60}
copies=${COPIES:-3}
start_s=${START_S:-60}
stop_timeout_s=15

header_field() { # RECIPE FIELD
    sed -n "2s/.*$2: *\([^ ]*\).*/\1/p" "$1"
}

is_port_used() {
    grep -qi "^ *[0-9]*: [0-9A-F]*:$(printf %04X "$1") " /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6
}

is_listening() {
    grep -qi "^ *[0-9]*: [0-9A-F]*:$(printf %04X "$1") [0-9A-F:]* 0A" /proc/net/tcp /proc/net/tcp6
}

# Below the ports that clients get, so that no connection of a neighbour takes it before the server does.
pick_port() {
    local port
    for _ in {1..50}; do
        port=$((10000 + (RANDOM << 2 ^ RANDOM) % 20000))
        is_port_used "$port" || break
    done
    echo "$port"
}

# Processes of this try: they carry its mark in their environment, or stand in its folder.
find_processes() {
    {
        grep -lszF "SERVER_TRY=$work" /proc/[0-9]*/environ
        find /proc -maxdepth 2 -name cwd -lname "$work/*" 2>/dev/null
    } | cut -d/ -f3 | sort -u | grep -vx $$
}

fail() {
    verdict=FAIL
    detail=$*
    return 1
}

counts() { # accepted|active: of each copy
    "$sshim" status --json --control "$control" 2>>"$log" |
        sed 's/.*"workers":\[\(.*\)\],"listeners".*/\1/' | grep -o "\"$1\":[0-9]*" | cut -d: -f2 | xargs
}

is_running() { kill -0 "$run_pid" 2>/dev/null; }

probe() { timeout $((start_s / 3)) sh "$recipe" probe "$port" >>"$work/probe.log" 2>&1; }

await_ready() {
    local deadline=$((SECONDS + start_s))
    [ "$class" != D ] || deadline=$((SECONDS + start_s * 10 / 3))
    while [ ! -s "$work/ready" ]; do
        is_running || { fail "it ended before it was ready"; return 1; }
        [ "$SECONDS" -lt "$deadline" ] || { fail "not ready after $start_s s"; return 1; }
        # What listens on nothing that is shared is never announced.
        [ "$class" = C ] && probe && return 0
        sleep 0.1
    done
}

every_copy_answers() {
    case " $(counts accepted) " in
    *' 0 '* | '  ') return 1 ;;
    esac
}

# Datagrams go past the broker, and so do the connections of programs without the library: there is nothing to count.
needs_counts() {
    case $class$name in
    C* | D* | *-udp) return 1 ;;
    esac
}

probe_all() {
    local done=0
    while [ "$done" -lt "$probes_max" ]; do
        probe || { fail "probe $((done + 1)) failed"; return 1; }
        done=$((done + 1))
        [ "$done" -lt "$probes_min" ] && continue
        needs_counts || break
        every_copy_answers && break
    done
    detail="$done probes, accepted $(counts accepted | tr ' ' +), open $(counts active | tr ' ' +)"
    ! needs_counts || every_copy_answers && return
    "$sshim" status --json --control "$control" >>"$log" 2>&1
    fail "a copy answers nothing: $detail"
}

# Waits until the broker is gone; its exit code is in $exit_code.
await_end() { # SECONDS
    local deadline=$((SECONDS + $1))
    while is_running; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.05
    done
    wait "$run_pid"
    exit_code=$?
}

stop_cleanly() {
    local begin=$SECONDS
    "$sshim" stop --control "$control" >>"$log" 2>&1 &
    local stop_pid=$!
    await_end $((stop_timeout_s + 5)) || { kill "$stop_pid" 2>/dev/null; fail "does not stop, $detail"; return 1; }
    wait "$stop_pid" || { fail "sshim stop gave $?"; return 1; }
    [ "$exit_code" = 0 ] || { fail "exit code $exit_code after stop"; return 1; }
    [ $((SECONDS - begin)) -lt "$stop_timeout_s" ] || { fail "needed the whole grace time to stop"; return 1; }
    [ -z "$(find_processes)" ] || { fail "processes are left: $(find_processes | xargs ps -o comm= -p | xargs)"; return 1; }
    [ -z "$(ls -A "$work/run")" ] || { fail "files are left: $(ls -A "$work/run")"; return 1; }
    ! is_listening "$port" || fail "port $port still listens"
}

# Which the broker has found out by itself.
go_by_seccomp() {
    "$sshim" status --json --control "$control" 2>>"$log" | grep -q '"via":"seccomp"' || { fail "is preloaded"; return 1; }
    detail="$detail, by --intercept seccomp"
}

launch() {
    local workers=$copies timeout_s=$((start_s / 3))
    case $class in
    C) workers=1 ;;
    D) timeout_s=$((start_s * 5 / 2)) ;; # the recipe may have to compile it first
    esac
    : >"$work/ready"
    TMPDIR="$work/tmp" SERVER_TRY="$work" HOME="$work/tmp" "$sshim" run -w "$workers" --control "$control" --stop-timeout "$stop_timeout_s" \
        --start-timeout "$timeout_s" --ready-fd 9 -v -- sh "$recipe" start "$port" \
        9>"$work/ready" >"$log" 2>&1 </dev/null 3>&- &
    run_pid=$!
}

try_server() {
    launch
    await_ready && probe_all || return
    [ "$class" != D ] || go_by_seccomp || return
    stop_cleanly
}

# The broker and its keeper are stopped first, or one would revive the other.
clean_up() {
    # shellcheck disable=SC2046 # lists
    {
        kill -STOP $(pgrep -f -- "--control $control")
        kill -KILL $(pgrep -f -- "--control $control")
        kill -KILL $(find_processes)
    } 2>/dev/null
    cd / && rm -rf "$work"
    work=
}

try_recipe() {
    recipe=$(realpath "$1")
    name=$(basename "$1" .sh)
    class=$(header_field "$recipe" class)
    verdict=pass
    detail=
    port=$(pick_port)
    work=$(mktemp -d "${TMPDIR:-/tmp}/server-try.XXXXXX") || exit 2
    chmod 755 "$work"
    mkdir -m 755 "$work/run" "$work/tmp"
    control=$work/run/control.sock
    log=$work/log
    local begin=${EPOCHREALTIME/./}
    try_server
    local took_ms=$(((${EPOCHREALTIME/./} - begin) / 1000))
    printf '%-24s %s %s %3d.%d s  %s\n' "$name" "$class" "$verdict" $((took_ms / 1000)) $((took_ms % 1000 / 100)) "$detail"
    [ "$verdict" = pass ] || tail -n 15 "$log" "$work/probe.log" >&2
    clean_up
    [ "$verdict" = pass ]
}

work=
trap 'exit 1' TERM INT
trap '[ -z "$work" ] || clean_up' EXIT
failures=0
for one; do
    try_recipe "$one" || failures=$((failures + 1))
done
[ "$failures" = 0 ]
