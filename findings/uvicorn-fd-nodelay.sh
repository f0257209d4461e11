#!/usr/bin/env bash
# uvicorn 0.17.6 on Python 3.11: connections of a TCP socket given by --fd do not have TCP_NODELAY; those of --port do.
#
# uvicorn takes each inherited descriptor for a unix socket (socket.fromfd with AF_UNIX). Connections work all the same, since the kernel
# knows better, but asyncio switches Nagle's algorithm off only where the Python object says AF_INET or AF_INET6.
# One would guess: --fd differs from --port in who binds, and in nothing that a client could notice.
source "$(dirname "$0")/common.sh"

unpack_debs uvicorn python3-uvicorn python3-h11 python3-click python3-asgiref
cat >"$work/seen.py" <<'PY'
import os, socket
def nodelay():
    for fd in range(3, 60):
        try:
            connection = socket.socket(fileno=os.dup(fd))
            connection.getpeername()
            return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        except OSError:
            pass
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(nodelay()).encode()})
PY
export PYTHONPATH=$work/root/usr/lib/python3/dist-packages
uvicorn=(/usr/bin/python3 -m uvicorn --loop asyncio --log-level error --app-dir "$work" seen:app)
port=$(free_port)
start "${uvicorn[@]}" --port "$port"
wait_for fetch "$port" || give_up 'uvicorn does not answer'
expect '--port: TCP_NODELAY' "$(fetch "$port")" 1
port=$(free_port)
start python3 "$here/with_fds.py" 3 "$port" "${uvicorn[@]}" --fd 3
wait_for fetch "$port" || give_up 'uvicorn does not answer'
expect '--fd: TCP_NODELAY' "$(fetch "$port")" 0
finish
