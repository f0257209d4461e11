#!/bin/bash
# Runs four copies of a real server behind one port, sends requests, shows which copy answered how many,
# kills one copy, stops all. Exit code 0: everything went as promised. Touches nothing outside a temporary folder.
#
#   scripts/demo.sh [PATH OF sshim]     default: build/sshim
set -euo pipefail

COPIES=4
REQUESTS=400
CLIENTS=8
READY_TIMEOUT_S=${READY_TIMEOUT_S:-60}

root=$(cd "$(dirname "$0")/.." && pwd)
sshim=${1:-$root/build/sshim}
folder=
broker=
failures=0

say() {
    printf '\n== %s\n' "$*"
}

give_up() {
    printf 'demo: %s\n' "$*" >&2
    exit 1
}

# check TEXT COMMAND...: one line that says whether this promise was kept.
check() {
    local text=$1
    shift
    if "$@"; then
        printf '   ok      %s\n' "$text"
    else
        printf '   FAILED  %s\n' "$text"
        failures=$((failures + 1))
    fi
}

clean_up() {
    local code=$?
    trap - EXIT
    if [[ -n $broker ]]; then
        kill -TERM "$broker" 2>/dev/null || true
        wait "$broker" || true
    fi
    if [[ -n $folder ]]; then
        if ((code != 0)) && [[ -s $folder/log ]]; then
            printf '\nThe last lines of the log:\n' >&2
            tail -n 20 "$folder/log" >&2
        fi
        rm -rf "$folder"
    fi
    exit "$code"
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# --- the broker

# Each copy gets a folder of its own with its number in a file: what a client reads tells who answered.
make_sites() {
    local id
    for ((id = 0; id < COPIES; id++)); do
        mkdir "$folder/copy-$id"
        echo "$id" >"$folder/copy-$id/who"
    done
}

broker_is_gone() {
    ! kill -0 "$broker" 2>/dev/null
}

# False: it ended, or is not ready in time.
wait_until_ready() {
    local end=$((SECONDS + READY_TIMEOUT_S))
    while ((SECONDS < end)); do
        if IFS= read -r -t 1 -u 8 _; then
            return 0
        fi
        broker_is_gone && return 1
    done
    return 1
}

start() {
    mkfifo "$folder/ready"
    exec 8<>"$folder/ready"
    "$sshim" run -w "$COPIES" --name demo --control "$folder/control" --ready-fd 9 -- \
        python3 -m http.server "$port" --bind 127.0.0.1 --directory "$folder/copy-{id}" \
        9>&8 8>&- >"$folder/out" 2>"$folder/log" </dev/null &
    broker=$!
    wait_until_ready || give_up "the copies did not become ready"
    exec 8>&-
}

# --- the clients

# Sends $1 requests from several clients at a time. Writes one line per copy, "NUMBER COUNT", and "failed COUNT".
send_requests() {
    python3 - "$port" "$1" "$CLIENTS" <<'PYTHON'
import collections, concurrent.futures, http.client, sys

port, requests, clients = map(int, sys.argv[1:])

def ask(_):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", "/who")
        answer = connection.getresponse()
        return answer.read().decode().strip() if answer.status == 200 else "failed"
    except (OSError, http.client.HTTPException):
        return "failed"
    finally:
        connection.close()

with concurrent.futures.ThreadPoolExecutor(clients) as pool:
    counts = collections.Counter(pool.map(ask, range(requests)))
for who in sorted(counts):
    print(who, counts[who])
PYTHON
}

show_answers() { # FILE
    local who count
    while read -r who count; do
        if [[ $who == failed ]]; then
            printf '   %5d requests failed\n' "$count"
        else
            printf '   copy %s answered %5d requests\n' "$who" "$count"
        fi
    done <"$1"
}

none_failed() { # FILE
    ! grep -q '^failed' "$1"
}

every_copy_answered() { # FILE
    (($(grep -c '^[0-9]' "$1") == COPIES))
}

# --- one copy is killed

pid_of_copy() { # NUMBER
    "$sshim" status --json --control "$folder/control" | python3 -c '
import json, sys
print(next((worker["pid"] for worker in json.load(sys.stdin)["workers"] if worker["slot"] == int(sys.argv[1])), ""))' "$1"
}

copy_is_back() { # NUMBER OLD-PID
    local pid end=$((SECONDS + READY_TIMEOUT_S))
    while ((SECONDS < end)); do
        pid=$(pid_of_copy "$1")
        if [[ -n $pid && $pid != 0 && $pid != "$2" ]]; then
            return 0
        fi
        sleep 0.1
    done
    return 1
}

# --- the end

nothing_is_left() {
    [[ -z $(find "$folder" -type s) ]] && ! grep -qzF -- "$folder/copy-" /proc/[0-9]*/cmdline 2>/dev/null
}

port_is_free() {
    python3 -c 'import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))' "$port" 2>/dev/null
}

stop() {
    local code=0
    "$sshim" stop --control "$folder/control" || code=$?
    wait "$broker" || code=$?
    broker=
    printf '   sshim ended with exit code %d\n' "$code"
    ((code == 0))
}

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
[[ -x $sshim ]] || give_up "there is no $sshim; run make"
"$root/scripts/deps.sh" demo || exit 1
folder=$(mktemp -d "${TMPDIR:-/tmp}/sshim-demo.XXXXXX")
port=$(free_port)
make_sites

say "$COPIES copies of python3 -m http.server behind 127.0.0.1:$port"
printf '   %s run -w %d -- python3 -m http.server %d --bind 127.0.0.1 --directory .../copy-{id}\n' \
    "$sshim" "$COPIES" "$port"
start

say "$REQUESTS requests from $CLIENTS clients at a time; each copy answers with its number"
send_requests "$REQUESTS" >"$folder/answers"
show_answers "$folder/answers"
check "every request was answered" none_failed "$folder/answers"
check "every copy took part" every_copy_answered "$folder/answers"

say "sshim status"
"$sshim" status --control "$folder/control" | sed 's/^/   /'

say "kill -9 of copy 1, and at once $REQUESTS requests more"
victim=$(pid_of_copy 1)
kill -KILL "$victim"
send_requests "$REQUESTS" >"$folder/answers"
show_answers "$folder/answers"
check "every request was answered" none_failed "$folder/answers"
check "copy 1 was started again" copy_is_back 1 "$victim"

say "sshim stop"
check "it stopped cleanly" stop
check "no process and no socket is left" nothing_is_left
check "the port is free again" port_is_free

if ((failures > 0)); then
    give_up "$failures of the promises above were not kept"
fi
shown=${sshim#"$PWD"/}
say "The same with your own server"
cat <<END
   $shown run -w 4 -- YOUR-SERVER ITS-ARGUMENTS
   $shown status
   $shown stop
END
