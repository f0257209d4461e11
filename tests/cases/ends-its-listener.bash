#!/usr/bin/env bash
# Whoever ends its listener with connections in the queue resets them, and the address refuses: by close, in whatever way, or by
# shutdown, after which listen works again. So does the only copy under --share all.
. "${0%/*}/lib/case.bash"

server() { # PORT
    exec python3 -c '
import ctypes, os, socket, sys
port = int(sys.argv[1])
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
libc.fclose.argtypes = [ctypes.c_void_p]
address = ("127.0.0.1", port)

def knock():
    client = socket.socket()
    client.settimeout(10)
    try:
        client.connect(address)
        return client
    except ConnectionRefusedError:
        return "refused"

def end_of(client):
    try:
        return client.recv(10).decode() or "end"
    except ConnectionResetError:
        return "reset"

def describe(found):
    return found if isinstance(found, str) else "connected"

def try_end(name, end):
    listener = socket.create_server(address)
    clients = [knock() for _ in range(3)]
    end(listener.fileno())
    print(name, describe(knock()), *map(end_of, clients), flush=True)
    listener.detach()

def close_by_child(fd):
    child = os.fork()
    if child == 0:
        os.close(fd)
        os._exit(0)
    os.waitpid(child, 0)
    os.close(fd)

def shut_down(how):
    listener = socket.create_server(address)
    clients = [knock() for _ in range(3)]
    listener.shutdown(how)
    before = describe(knock())
    listener.listen()
    client = knock()
    listener.accept()[0].sendall(b"hello")
    print("shutdown", before, *map(end_of, clients), end_of(client), flush=True)
    listener.close()

null = os.open("/dev/null", os.O_RDWR)
try_end("close", libc.close)
try_end("fclose", lambda fd: libc.fclose(libc.fdopen(fd, b"r")))
try_end("close_range", lambda fd: libc.close_range(fd, fd, 0))
try_end("dup2", lambda fd: libc.dup2(null, fd) and os.close(fd))
try_end("dup3", lambda fd: libc.dup3(null, fd, 0) and os.close(fd))
try_end("child", close_by_child)
shut_down(socket.SHUT_RD)
shut_down(socket.SHUT_RDWR)
listener = socket.create_server(address)
print("done", flush=True)
while True:
    client, _ = listener.accept()
    client.close()
' "$@"
}

try() { # WAY
    local way
    start "$1" "$(free_port)"
    wait_until says "done"
    for way in close fclose close_range dup2 dup3 child; do
        expect "$way" "$(grep "^$way " "$work/out")" "$way refused reset reset reset"
    done
    expect shutdown "$(grep ^shutdown "$work/out" | sort -u)" "shutdown refused reset reset reset hello"
}

cases native "-w 1 --share all" "-w 1 --share all --handoff direct"
