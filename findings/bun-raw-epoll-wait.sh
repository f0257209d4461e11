#!/usr/bin/env bash
# Bun 1.4.5: it accepts and registers sockets through libc, but it waits by a system call instruction of its own.
#
# The binary is linked with glibc and imports epoll_pwait, yet its event loop sits in epoll_pwait2 (number 441) without libc.
# One would guess: what imports accept4, epoll_ctl and epoll_pwait from libc also waits through libc, so that a preloaded library can
# tell when the server is idle. It sees each accept and never a wait.
source "$(dirname "$0")/common.sh"

[[ $(uname -m) == x86_64 ]] || give_up 'this compares system call numbers of x86_64'
install_npm @oven/bun-linux-x64@1.4.5
build_calls
cat >"$work/server.mjs" <<'JS'
import net from 'node:net';
net.createServer((client) => client.end('HTTP/1.0 200 OK\r\n\r\n' + process.pid)).listen(Number(process.argv[2]), '127.0.0.1');
JS
port=$(free_port)
start env LD_PRELOAD="$work/calls.so" "$work/node_modules/@oven/bun-linux-x64/bin/bun" "$work/server.mjs" "$port" 2>"$work/log"
wait_for is_listening "$port" || give_up 'the server does not listen'
fetch "$port" >/dev/null
pid=$(fetch "$port")
sleep 0.5

expect 'accepting goes through libc' "$(grep -qx accept4 "$work/log" && echo yes)" yes
expect 'registering goes through libc' "$(grep -qx 'epoll_ctl add' "$work/log" && echo yes)" yes
expect 'waits that went through libc' "$(grep -c 'epoll wait' "$work/log")" 0
expect 'the system call in which it waits' "$(cut -d' ' -f1 "/proc/$pid/syscall")" 441
finish
