#!/usr/bin/env bash
# supervisor 4.2.5: the socket that it holds for an fcgi-program is closed and made anew when its only process dies.
#
# supervisord creates the socket, and the program finds it as descriptor 0. But it counts the processes that use the socket,
# and at zero it closes it: so clients that wait in the queue are reset, and while the program is stopped they are refused.
# One would guess: a manager that owns the listening socket keeps it over a restart of the program, as systemd does with a .socket
# unit, so that clients wait for the next process.
source "$(dirname "$0")/common.sh"

unpack_debs supervisor python3-pkg-resources
port=$(free_port)
cat >"$work/conf" <<CONF
[supervisord]
nodaemon=true
logfile=$work/log
pidfile=$work/pid
[fcgi-program:server]
socket=tcp://127.0.0.1:$port
command=sleep 50
startsecs=0
autorestart=true
CONF
program() {
    pgrep -x sleep -P "$(cat "$work/pid")"
}
export PYTHONPATH=$work/root/usr/lib/python3/dist-packages
start /usr/bin/python3 "$work/root/usr/bin/supervisord" -c "$work/conf" >/dev/null 2>&1
wait_for program || give_up 'supervisord does not start the program'

# A client that waits in the queue of the socket, as nobody accepts.
python3 - "$port" >"$work/client" <<'PY' &
import socket, sys
client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print("connected", flush=True)
client.settimeout(10)
try:
    print("got", client.recv(1))
except TimeoutError:
    print("still waits")
except ConnectionResetError:
    print("reset")
PY
client=$!
wait_for grep -q connected "$work/client"
socket() {
    ss -Htlne "sport = :$port" | grep -o 'ino:[0-9]*'
}
before=$(socket)
kill -KILL "$(program)"
wait "$client"
wait_for socket
expect 'the waiting client' "$(tail -n 1 "$work/client")" reset
expect 'the socket afterwards' "$([[ $(socket) == "$before" ]] && echo the same || echo another)" another
finish
