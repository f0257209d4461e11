#!/usr/bin/env bash
# Hypercorn 0.13.2 and uvicorn 0.17.6 with two workers: a worker that dies is never replaced.
#
# hypercorn only joins its workers one after the other: when all have died, it ends with status 0. uvicorn's parent waits for a
# signal and nothing else: when all have died, it lives on and holds the socket, so clients connect and wait for an answer.
# One would guess: a parent with --workers replaces the dead, as gunicorn, or ends with an error. A manager with Restart=on-failure does not
# restart hypercorn, since 0 is no failure, and sees uvicorn run; a check that only connects finds it well.
source "$(dirname "$0")/common.sh"

unpack_debs python3-hypercorn python3-h11 python3-h2 python3-hpack python3-hyperframe python3-wsproto python3-priority python3-toml \
    python3-uvicorn python3-click python3-asgiref
cat >"$work/app.py" <<'PY'
import os
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
PY
cd "$work" || exit 2
export PYTHONPATH=$work/root/usr/lib/python3/dist-packages:$work
workers() { # PORT: how many processes answer
    local -A pids=()
    for _ in {1..60}; do
        pids[$(fetch "$1")]=1
    done
    echo ${#pids[@]}
}
# shellcheck disable=SC2317 # wait_for calls it
has_two() { # PORT
    (($(workers "$1") == 2))
}
attempt() { # NAME PORT COMMAND...: kills one worker, then the other
    local name=$1 port=$2 parent
    shift 2
    start_alone "$@" >/dev/null 2>&1
    parent=$!
    wait_for has_two "$port" || give_up "$name: no two workers answer"
    kill -KILL "$(fetch "$port")"
    sleep 2
    expect "$name, workers after one has died" "$(workers "$port")" 1
    kill -KILL "$(fetch "$port")"
    wait_end "$parent"
}
port=$(free_port)
attempt hypercorn "$port" /usr/bin/python3 -m hypercorn -w 2 -b "127.0.0.1:$port" app:app
expect 'hypercorn, exit status after all have died' "$status" 0
port=$(free_port)
attempt uvicorn "$port" /usr/bin/python3 -m uvicorn --workers 2 --port "$port" app:app
expect 'uvicorn, exit status after all have died' "$status" runs
fetch "$port"
expect 'uvicorn, a client after all have died (28: connected, no answer in time)' "$?" 28
finish
