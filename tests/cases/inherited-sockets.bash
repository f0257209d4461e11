#!/usr/bin/env bash
# A program that looks through its descriptors for sockets it inherited finds those that it was given, and none of ours.
. "${0%/*}/lib/case.bash"

server() { # PORT
    exec python3 -c '
import os, socket, stat, sys
found = [fd for fd in map(int, os.listdir("/proc/self/fd")) if os.path.exists(f"/proc/self/fd/{fd}") and stat.S_ISSOCK(os.fstat(fd).st_mode)]
print("sockets", len(found), flush=True)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client, _ = listener.accept()
    client.close()
' "$@"
}

try() { # WAY
    start "$1" "$(free_port)"
    wait_until says sockets "$(copies_of "$1")"
    expect "sockets at the start" "$(sort -u "$work/out")" "sockets 0"
}

cases native "-w 2"
