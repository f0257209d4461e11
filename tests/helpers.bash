# helpers.bash - what every bats file starts with: load helpers
#
# Each test gets a folder of its own ($TMP), a control socket path ($CONTROL), a loopback address that
# no other test uses ($HOST) and a free port ($PORT). teardown stops what still runs and fails the test
# if anything of it is left: a process, a socket file, an abstract name, a report of a sanitizer.

# shellcheck source=tests/places.bash
. "$(dirname "${BASH_SOURCE[0]}")/places.bash"
VICTIM=$BUILD/tests/victim
PROBE=$BUILD/tests/probe
DEADLINE_S=${DEADLINE_S:-30}
# Options of sshim run for every test, to try them all in another --handoff.
VICTIM_OPTIONS=${VICTIM_OPTIONS:-}
export UBSAN_OPTIONS=print_stacktrace=1

setup() {
    unset "${!SSHIM_@}" XDG_RUNTIME_DIR LD_PRELOAD PYTHONUNBUFFERED # with which a line is several writes
    TMP=$(mktemp -d /tmp/sshim-t.XXXXXX)
    chmod 711 "$TMP"
    export SSHIM_TEST=$TMP # marks every process that this test starts
    CONTROL=$TMP/control.sock
    HOST=127.$((BASHPID / 65536 % 120 + 2)).$((BASHPID / 256 % 256)).$((BASHPID % 254 + 1))
    PORT=$("$PROBE" --free-port)
    ADDR=$HOST:$PORT
    BROKER=
    STATUS=
}

teardown() {
    [[ -n ${TMP:-} ]] || return 0 # skipped by setup_file
    local failed=0
    stop_all || failed=1
    assert_nothing_left || failed=1
    if [[ -z $BATS_TEST_COMPLETED || $failed == 1 ]]; then
        echo "--- log"; tail -n 40 "$TMP"/log* 2>/dev/null || true
        echo "--- output"; tail -n 40 "$TMP"/out* 2>/dev/null || true
    fi
    rm -rf "$TMP"
    return $failed
}

# share_build: from here on the programs are copies that every user can reach; the project's folder may be closed to others.
share_build() {
    mkdir "$TMP/build"
    cp "$SSHIM" "$LIB" "$VICTIM" "$PROBE" "$TMP/build"
    chmod -R a+rX "$TMP/build"
    SSHIM=$TMP/build/sshim
    LIB=$TMP/build/libsshim.so
    VICTIM=$TMP/build/victim
    PROBE=$TMP/build/probe
}

# needs_root: skips the test where another user runs it.
needs_root() {
    [[ $(id -u) == 0 ]] || skip "only root can become another user, or give a file to one"
}

NOBODY=(setpriv --reuid 65534 --regid 65534 --clear-groups)

# become_nobody: the broker is another user's, who owns $TMP.
become_nobody() {
    needs_root
    share_build
    chown 65534 "$TMP"
    printf '#!/bin/sh\nexec %s "%s" "$@"\n' "${NOBODY[*]}" "$SSHIM" >"$TMP/sshim"
    chmod 755 "$TMP/sshim"
    SSHIM=$TMP/sshim
}

# --- waiting

# Runs a command every 20 ms until it succeeds; fails after DEADLINE_S.
wait_until() {
    local end=$((SECONDS + DEADLINE_S))
    until "$@"; do
        if ((SECONDS >= end)); then
            echo "not within $DEADLINE_S s: $*"
            return 1
        fi
        sleep 0.02
    done
}

is_gone() { # PID: no such process, or one that only waits to be reaped
    local stat
    read -r stat 2>/dev/null <"/proc/$1/stat" || return 0
    [[ $stat == *') Z '* || $stat == *') X '* ]]
}

# A process that ended long ago may have given its number to somebody else's by now.
is_our_child() { # PID
    grep -qsx "PPid:[[:space:]]*$BASHPID" "/proc/$1/status"
}

log_has() { # TEXT
    grep -qF -- "$1" "$TMP/log"
}

# --- brokers

# start_broker [OPTIONS OF run] -- COMMAND: returns when all workers are ready. Its pid is $BROKER, its
# stderr $TMP/log, the workers' stdout $TMP/out.
start_broker() {
    launch_broker "$@"
    wait_until broker_spoke_or_ended
    exec 8>&-
    if is_gone "$BROKER"; then
        echo "the broker ended"
        return 1
    fi
}

# The same without waiting.
launch_broker() {
    rm -f "$TMP/ready"
    mkfifo "$TMP/ready"
    exec 8<>"$TMP/ready"
    # shellcheck disable=SC2086 # a list
    "$SSHIM" run --control "$CONTROL" --ready-fd 9 $VICTIM_OPTIONS "$@" 9>&8 8>&- 3>&- </dev/null >>"$TMP/out" 2>>"$TMP/log" &
    BROKER=$!
}

# -t 0 only looks: a read that times out may have swallowed the byte.
broker_spoke_or_ended() {
    read -r -t 0 -u 8 || is_gone "$BROKER"
}

# Leaves the broker's exit code in $STATUS; fails when it takes too long.
wait_for_broker() {
    local end=${1:-$DEADLINE_S}
    DEADLINE_S=$end wait_until is_gone "$BROKER"
    STATUS=0
    wait "$BROKER" || STATUS=$?
    BROKER=
    exec 8>&-
}

stop_broker() {
    timeout "$DEADLINE_S" "$SSHIM" stop --control "$CONTROL"
    wait_for_broker
}

# Both at one blow: the keeper would take over from a broker that is killed alone.
kill_broker_and_keeper() {
    kill -STOP "$BROKER" # or it might start another keeper in between
    # shellcheck disable=SC2046
    kill -KILL $(pgrep -P "$BROKER" -f "^$SSHIM run") "$BROKER"
    wait_for_broker
}

# What teardown does with tests that did not end what they started.
stop_all() {
    local pid
    if [[ -n $BROKER ]] && ! is_gone "$BROKER"; then
        kill -TERM "$BROKER" 2>/dev/null || true
        if ! DEADLINE_S=10 wait_until is_gone "$BROKER"; then
            kill -KILL "$BROKER" 2>/dev/null || true
        fi
    fi
    for pid in "${STARTED[@]}"; do
        ! is_our_child "$pid" || kill -KILL "$pid" 2>/dev/null || true
    done
    STARTED=()
    return 0
}

# start_other COMMAND...: a process that teardown ends. Its pid is $OTHER.
STARTED=()
start_other() {
    "$@" 3>&- 8>&- </dev/null >>"$TMP/out.other" 2>&1 &
    OTHER=$!
    STARTED+=("$OTHER")
}

# --- asking

status_of() { # JQ FILTER
    "$SSHIM" status --json --control "$CONTROL" | jq -r "$1"
}

status_is() { # JQ FILTER that must give true
    [[ $(status_of "$1") == true ]]
}

# For how many milliseconds these processes have waited for a processor: what a loaded machine has added.
waited_ms() { # PID...
    local files=("${@/#//proc/}")
    cat "${files[@]/%//schedstat}" 2>/dev/null | awk '{ sum += $2 } END { print int(sum / 1000000) }'
}

# No turn of the broker's loop was as long as that, but for the time in which it waited for a processor. A turn that sleeps
# for want of a mended call sleeps until the keeper ends it after 5 s.
turns_are_short() { # [MS]
    local ms waited_ms
    ms=$(status_of .longest_turn_ms)
    waited_ms=$(waited_ms "$(status_of .pid)")
    echo "longest turn: $ms ms; waited for a processor, in all: $waited_ms ms"
    ((ms - waited_ms < ${1:-2500}))
}

# The abstract name of the workers' socket, as any local user can read it.
rendezvous() {
    sed -n "s,.* @\(sshim:[0-9a-f]*:$CONTROL\)\$,\1,p" /proc/net/unix
}

worker_pid() { # SLOT
    status_of ".workers[] | select(.slot == $1) | .pid"
}

workers_ready() { # COUNT
    status_is "[.workers[] | select(.state == \"ready\" or .state == \"busy\")] | length == $1"
}

# A worker is ready with its first listener; this waits until COUNT victims have opened all of theirs.
victims_listen() { # COUNT
    [[ $(grep -o listening "$TMP/out" | wc -l) -ge $1 ]]
}

# probe COUNT [ADDRESS]: every connection must be answered rightly; $TMP/answers has the answers.
probe() {
    timeout 60 "$PROBE" -n "$1" "${2:-$ADDR}" >"$TMP/answers" || { cat "$TMP/answers"; return 1; }
}

# all_answer SLOTS [ADDRESS]: probes until that many workers have answered; a busy machine may give one of them no
# turn for a while. Every answer must be right.
all_answer() {
    local end=$((SECONDS + DEADLINE_S))
    : >"$TMP/answers.all"
    until [[ $(grep -o "${ANSWER_BY:-slot}=[0-9]*" "$TMP/answers.all" | sort -u | wc -l) == "$1" ]]; do
        probe 10 "${2:-$ADDR}" || return 1
        cat "$TMP/answers" >>"$TMP/answers.all"
        if ((SECONDS >= end)); then
            echo "not all of $1 workers answered within $DEADLINE_S s:"
            grep -o "${ANSWER_BY:-slot}=[0-9]*" "$TMP/answers.all" | sort | uniq -c
            return 1
        fi
    done
}

# --- what is left

# Pids of processes that carry this in the environment they were started with.
pids_with() { # NAME=VALUE
    env -u SSHIM_TEST -u SSHIM_BROKER grep -lzxF -- "$1" /proc/[0-9]*/environ 2>/dev/null |
        while IFS=/ read -r _ _ pid _; do is_gone "$pid" || echo "$pid"; done
}

no_process_is_left() {
    [[ -z $(pids_with "SSHIM_TEST=$TMP") ]]
}

assert_nothing_left() {
    local failed=0
    if ! DEADLINE_S=${LEFT_DEADLINE_S:-2} wait_until no_process_is_left >/dev/null; then
        echo "left behind: processes"
        ps -o pid,ppid,stat,args -p "$(pids_with "SSHIM_TEST=$TMP" | head -n 10 | paste -sd,)" || true
        failed=1
    fi
    if [[ -n $(find "$TMP" -type s) ]]; then
        echo "left behind: sockets"; find "$TMP" -type s
        failed=1
    fi
    if grep -E "@sshim:[0-9a-f]+:$TMP" /proc/net/unix | head -n 3 | grep .; then
        echo "left behind: an abstract socket"
        failed=1
    fi
    if grep -E -A 20 'runtime error:|ERROR: (Address|Leak|Undefined)' "$TMP"/log* 2>/dev/null; then
        echo "a sanitizer complained"
        failed=1
    fi
    ((failed == 0)) || end_what_is_left
    return $failed
}

# Again and again: a keeper that lives a moment longer than its broker takes over and starts others.
end_what_is_left() {
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        no_process_is_left && return
        # shellcheck disable=SC2046
        kill -KILL $(pids_with "SSHIM_TEST=$TMP") 2>/dev/null || true
    done
    return 0
}

broker_fds() {
    find "/proc/$BROKER/fd" -mindepth 1 | wc -l
}
