#!/usr/bin/env bash
# A server binds an address whose family is AF_UNSPEC, which the kernel takes for 0.0.0.0: all copies serve.
. "${0%/*}/lib/case.bash"

server() { # PORT
    exec python3 -c '
import ctypes, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
address = struct.pack("=H", 0) + struct.pack(">H", int(sys.argv[1])) + bytes(12)
if libc.bind(listener.fileno(), address, len(address)):
    sys.exit(f"bind: errno {ctypes.get_errno()}")
listener.listen()
'"$answer_each" "$@"
}

try() { # WAY
    each_copy_serves "$1"
}

cases native "-w 2"
