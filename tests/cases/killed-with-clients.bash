#!/usr/bin/env bash
# A server is killed with connections that it has not accepted: their clients are reset. So it is with the only copy under
# --share all, whether its end or that of its listener is noticed first; the copy that is started again serves.
. "${0%/*}/lib/case.bash"

# The first one accepts nothing.
server() { # PORT BEGUN
    exec python3 -c '
import os, socket, sys, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listens", os.getpid(), flush=True)
if not os.path.exists(sys.argv[2]):
    open(sys.argv[2], "w").close()
    time.sleep(600)
'"$answer_each" "$@"
}

# Connections, then the end of PID, and what each client saw.
end_of_clients() { # PORT PID
    python3 - "$1" "$2" <<'END'
import os, signal, socket, sys
clients = [socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10) for _ in range(4)]
for client in clients:
    client.sendall(b"hello")
os.kill(int(sys.argv[2]), signal.SIGKILL)
def end(client):
    try:
        return client.recv(10).decode() or "end"
    except ConnectionResetError:
        return "reset"
    except TimeoutError:
        return "silent"
print(*map(end, clients))
END
}

try() { # WAY
    local port
    port=$(free_port)
    rm -f "$work/begun"
    start "$1" "$port" "$work/begun"
    wait_until says listens
    expect "clients" "$(end_of_clients "$port" "$(sed -n 's/^listens //p' "$work/out")")" "reset reset reset reset"
    [[ $1 == native ]] && return
    wait_until says serves
    expect "the next copy" "$(ask "$port")" served
}

cases native "-w 1 --share all" "-w 1 --share all" "-w 1 --share all" "-w 1 --share all" "-w 1 --share all --handoff direct"
