#!/usr/bin/env bash
# A server changes its port while it runs: clients of the old one are refused, the new one answers.
. "${0%/*}/lib/case.bash"

server() { # PORT NEW
    exec python3 -c '
import os, select, signal, socket, sys
old, new = map(int, sys.argv[1:])
wake, end = os.pipe()
os.set_blocking(end, False)
signal.set_wakeup_fd(end)
signal.signal(signal.SIGHUP, lambda *_: None)
listener = socket.create_server(("127.0.0.1", old))
print("serves", os.getpid(), flush=True)
while True:
    for ready in select.select([wake, listener], [], [])[0]:
        if ready is wake:
            os.read(wake, 1)
            listener.close()
            listener = socket.create_server(("127.0.0.1", new))
            listener.setblocking(False)
            print("changed", flush=True)
        elif ready is listener:
            try:
                client, _ = listener.accept()
            except BlockingIOError:
                continue
            client.sendall(b"served\n")
            client.close()
' "$@"
}

try() { # WAY
    local old new
    old=$(free_port)
    new=$(free_port)
    start "$1" "$old" "$new"
    wait_until says serves "$(copies_of "$1")"
    wait_until answers "$old"
    # shellcheck disable=SC2046 # pids
    kill -HUP $(sed -n 's/^serves //p' "$work/out")
    wait_until says changed "$(copies_of "$1")"
    wait_until answers "$new"
    expect "the new port" "$(ask "$new")" served
    expect "the old port" "$(ask "$old")" refused
}

cases native "-w 1" "-w 3"
