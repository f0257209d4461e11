#!/usr/bin/env bash
# daphne 4.0.0 on Twisted 22.4.0: with --fd a unix socket is announced as "TCP address /:t", and each client is closed at once.
#
# daphne tells Twisted that the descriptor is AF_INET without a look at it. Twisted takes the first two items of getsockname() for host and
# port, here two letters of the path, and fails to make a TCP address of each client's. No error at the start, none in daphne's log.
# One would guess: --fd serves any listening socket that it is given, as uvicorn's --fd does, or it fails. The check that a service
# manager makes, that the process runs and its socket accepts, finds this server well.
source "$(dirname "$0")/common.sh"

unpack_debs python3-daphne python3-twisted python3-zope.interface python3-incremental python3-constantly python3-hyperlink python3-attr \
    python3-automat python3-autobahn python3-txaio python3-idna python3-asgiref python3-service-identity python3-openssl python3-pyasn1 \
    python3-pyasn1-modules python3-cryptography python3-cffi-backend python3-typing-extensions python3-uvicorn python3-h11 python3-click
cat >"$work/app.py" <<'PY'
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})
PY
cat >"$work/unix_fd.py" <<'PY'
# unix_fd.py PATH COMMAND...: executes COMMAND with a unix socket that listens at PATH as descriptor 3.
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(50)
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.execvp(sys.argv[2], sys.argv[2:])
PY
cat >"$work/ask.py" <<'PY'
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.settimeout(10)
client.connect(sys.argv[1])
try:
    client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    print("an answer" if client.recv(1) else "closed")
except ConnectionError:
    print("closed")
PY
export PYTHONPATH=$work/root/usr/lib/python3/dist-packages:$work
attempt() { # NAME COMMAND...: puts what a client gets into $answer
    local name=$1
    shift
    start python3 "$work/unix_fd.py" "$work/$name" "$@" >"$work/$name.log" 2>&1
    wait_for grep -qE 'Listening on|startup complete' "$work/$name.log" || give_up "$name does not start"
    answer=$(python3 "$work/ask.py" "$work/$name")
}
attempt uvicorn /usr/bin/python3 -m uvicorn --fd 3 app:app
expect 'uvicorn --fd, a client gets' "$answer" 'an answer'
attempt daphne /usr/bin/python3 -m daphne --fd 3 app:app
expect 'daphne --fd says' "$(grep -o 'Listening on.*' "$work/daphne.log")" 'Listening on TCP address /:t'
expect 'daphne --fd, a client gets' "$answer" closed
expect 'daphne --fd, errors in its log' "$(grep -ciE 'error|exception|traceback' "$work/daphne.log")" 0

port=$(free_port)
start python3 "$here/with_fds.py" 3 "$port" /usr/bin/python3 -m daphne --fd 3 app:app >"$work/tcp.log" 2>&1
wait_for grep -q 'Listening on' "$work/tcp.log"
expect 'daphne --fd with a TCP socket, a client gets' "$(fetch "$port")" x
finish
