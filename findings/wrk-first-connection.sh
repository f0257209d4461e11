#!/usr/bin/env bash
# wrk 4.1.0: the first connection that a server sees from it is closed without a byte; and -t2 -c5 then opens four.
#
# To find an address that answers, wrk connects once before it starts and closes at once. And each thread gets connections / threads,
# rounded down.
# One would guess: a server sees the five connections that were asked for, each with a request. A test that counts accepted
# connections, serves exactly N, or lets the first client choose something, is off by the one that says nothing.
source "$(dirname "$0")/common.sh"

unpack_debs wrk libluajit-5.1-2 luajit
cat >"$work/server.py" <<'PY'
import socket, sys, threading, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=50)
requests = []
def serve(client, number):
    try:
        while client.recv(4096):
            requests[number] += 1
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            time.sleep(0.02)
    except OSError:
        pass
def accept():
    while True:
        client, _ = listener.accept()
        requests.append(0)
        threading.Thread(target=serve, args=(client, len(requests) - 1), daemon=True).start()
threading.Thread(target=accept, daemon=True).start()
sys.stdin.readline()
silent = [number + 1 for number, count in enumerate(requests) if not count]
print(len(requests) - len(silent), "with requests; without:", *silent)
PY
port=$(free_port)
mkfifo "$work/stop"
python3 "$work/server.py" "$port" <"$work/stop" >"$work/seen" &
server=$!
exec {stop}>"$work/stop"
wait_for is_listening "$port"
with_debs timeout 20 "$work/root/usr/bin/wrk" -t2 -c5 -d1 "http://127.0.0.1:$port/" >"$work/log" 2>&1
grep connections "$work/log"
echo >&"$stop"
wait "$server"
expect 'connections' "$(cat "$work/seen")" '4 with requests; without: 1'
finish
