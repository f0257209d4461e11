#!/usr/bin/env bash
# haproxy 2.6.12: the kernel knows its unix sockets by another name than clients do: PATH.PID.tmp.
#
# haproxy binds the temporary name and renames the file, so that clients of a running instance are never without a socket. The name that
# bind() was given stays with the socket: ss, /proc/net/unix and a client's getpeername() show it, with the pid of a process that,
# after a reload, may be long gone.
# One would guess: `ss -xl src PATH` finds the server of PATH, and getpeername() returns the path that was connected to.
source "$(dirname "$0")/common.sh"

unpack_debs haproxy liblua5.3-0
path=$work/web.sock
cat >"$work/conf" <<CONF
defaults
    mode http
    timeout client 5s
frontend web
    bind unix@$path
    http-request return status 200 content-type text/plain string "ok"
CONF
start env LD_LIBRARY_PATH="$work/root/usr/lib/$(uname -m)-linux-gnu" "$work/root/usr/sbin/haproxy" -db -f "$work/conf" 2>/dev/null
wait_for test -S "$path" || give_up 'haproxy does not listen'
expect 'a client is served' "$(curl -s -m 3 --unix-socket "$path" http://x/)" ok
expect 'listening sockets of this name' "$(ss -Hxl src "$path" | wc -l)" 0
expect 'the name that ss shows' "$(ss -Hxl | grep -o "${path}[^ ]*" | sed 's/[0-9]\{1,\}\.tmp$/PID.tmp/; s|.*/||')" web.sock.PID.tmp
expect 'getpeername() of a client' "$(python3 - "$path" <<'PY'
import os, re, socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
print(re.sub(r"\d+\.tmp$", "PID.tmp", os.path.basename(client.getpeername())))
PY
)" web.sock.PID.tmp
expect 'is there a file of that name' "$([[ -n $(compgen -G "$path.*") ]] && echo yes || echo no)" no
finish
