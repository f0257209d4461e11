#!/usr/bin/env bats
# --accept-proxy: whose a connection is, a balancer has said. --allow, --deny: whose are taken. --unmap.

load helpers

V2=$'\\r\\n\\r\\n\\0\\r\\nQUIT\\n'
V2_IPV4="$V2"'\x21\x11\0\x0c\xc0\0\2\7\xc6\x33\x64\1\x12\x67\0\x50' # 192.0.2.7:4711 to 198.51.100.1:80
V1_IPV4='PROXY TCP4 192.0.2.7 198.51.100.1 4711 80\r\n'
TOLD="('192.0.2.7', 4711) ('192.0.2.7', 4711) ('198.51.100.1', 80) child=True"

start_proxied() { # OPTIONS...
    start_broker -w 2 "$@" -- python3 "$ROOT/tests/progs/proxied.py" "${LISTEN:-$HOST}" "$PORT"
}

# What the server answers to one that sends these pieces, with \n, \xHH and so on in them.
send() {
    timeout 60 python3 "$ROOT/tests/progs/proxied.py" send "${TO:-$HOST}" "$PORT" "$@"
}

@test "accept, getpeername and getsockname tell what the header says, also in a program that is executed" {
    start_proxied --accept-proxy any --proxy-from 127.0.0.0/8
    [[ $(send "${V1_IPV4}hello") == "$TOLD read=b'hello'" ]]
    [[ $(send "${V2_IPV4}hello") == "$TOLD read=b'hello'" ]]
    [[ $(send PRO "XY TCP4 192.0.2.7 198.51.100.1 4711 80\\r" '\n' hello) == "$TOLD read=b'hello'" ]]
    [[ $(send "${V2_IPV4:0:8}" "${V2_IPV4:8:12}" "${V2_IPV4:20}" hello) == "$TOLD read=b'hello'" ]]
    # nothing is told of these: the ends are those of the connection
    [[ $(send 'PROXY UNKNOWN\r\nhello') =~ ^"('127.0.0.1', ".*" ('$HOST', $PORT) child=True read=b'hello'"$ ]]
    [[ $(send "$V2"'\x20\0\0\0hello') =~ ^"('127.0.0.1', ".*" ('$HOST', $PORT) child=True read=b'hello'"$ ]]
    # an IPv4 listener cannot name an IPv6 client
    [[ $(send 'PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\nhello') == "('0.0.0.0', 4711) ('0.0.0.0', 4711) ('0.0.0.0', 80) child=True read=b'hello'" ]]
    status_is '.listeners[0] | .proxy_rejected == 0 and .connections == 7 and .taken == 7'
}

@test "a forked child, a dup, an executed program and the other worker that gets the connection by SCM_RIGHTS see the header's ends" {
    start_broker -w 2 --accept-proxy any --proxy-from 127.0.0.1 -- python3 "$ROOT/tests/progs/proxied.py" pass "$HOST" "$PORT" "$TMP"
    local ends=${TOLD#* * } header
    ends=${ends% child=True}
    [[ $ends == "('192.0.2.7', 4711) ('198.51.100.1', 80)" ]]
    for header in "$V1_IPV4" "$V2_IPV4" "$V1_IPV4"; do
        send "${header}hello" >"$TMP/out.client"
        diff - "$TMP/out.client" <<END
fork: $ends
dup: $ends
exec: $ends
passed: $ends
END
    done
    status_is '.listeners[0] | .taken == 3 and .connections == 3'
    rm "$TMP/0" "$TMP/1"
}

@test "a worker that has no descriptor to spare sees the header's ends" {
    start_broker -w 1 --accept-proxy any --proxy-from 127.0.0.1 -- python3 "$ROOT/tests/progs/proxied.py" full "$HOST" "$PORT"
    [[ $(send "${V1_IPV4}hello") == "${TOLD% child=True}" ]]
}

# Leaves in $SLOT which worker a client behind the balancer gets.
slot_of() { # LAST BYTE of its address
    local answer
    answer=$(send "PROXY TCP4 192.0.2.$1 198.51.100.1 $((1024 + RANDOM)) 80\\r\\n")
    [[ $answer =~ slot=([0-9]+)\ peer=192\.0\.2\.$1: ]]
    SLOT=${BASH_REMATCH[1]}
}

@test "with --balance source the client of the header has a worker of its own, not its balancer" {
    local client first slots=
    start_broker -w 4 --balance source --accept-proxy v1 --proxy-from 127.0.0.1 -- "$VICTIM" accept "$ADDR"
    for client in {1..12}; do
        slot_of "$client"
        first=$SLOT
        slot_of "$client"
        [[ $SLOT == "$first" ]]
        slots+="$SLOT "
    done
    echo "$slots"
    (($(tr ' ' '\n' <<<"$slots" | sort -u | grep -c .) > 1))
}

@test "headers that are none, and senders that are no balancers, are refused" {
    start_proxied --accept-proxy v2 --proxy-from 127.0.0.1
    [[ $(send "${V2_IPV4}hello") == "$TOLD read=b'hello'" ]]
    [[ $(send "${V1_IPV4}hello") == closed ]]
    [[ $(send hello) == closed ]]
    [[ $(send "${V2:0:8}") == closed ]]
    wait_until log_has 'closed a connection of 127.0.0.1: it does not begin with a PROXY header'
    status_is '.listeners[0] | .proxy_rejected == 3 and .connections == 4 and .taken == 1'
    "$SSHIM" stop --control "$CONTROL"
    start_proxied --accept-proxy v2 --proxy-from 192.0.2.0/24
    [[ $(send "${V2_IPV4}hello") == closed ]]
    log_has 'it is not one of --proxy-from'
    "$SSHIM" stop --control "$CONTROL"
    start_proxied --accept-proxy v2 --proxy-from 192.0.2.0/24 --proxy-optional
    [[ $(send hello) =~ ^"('127.0.0.1', ".*"read=b'hello'"$ ]]
}

@test "a header that does not come is waited for in no worker, and not for ever" {
    start_proxied --accept-proxy any --proxy-from 127.0.0.1
    exec 7<>"/dev/tcp/$HOST/$PORT"
    wait_until status_is '.listeners[0].held == 1'
    [[ $(send "${V1_IPV4}hello") == "$TOLD read=b'hello'" ]]
    wait_until status_is '.listeners[0] | .held == 0 and .proxy_rejected == 1'
    log_has 'its PROXY header did not come within 3 seconds'
    exec 7>&-
}

@test "what was told outlives the broker, an upgrade, and half a header" {
    start_proxied --accept-proxy any --proxy-from 127.0.0.1 --hold line --hold-timeout 300
    exec 7<>"/dev/tcp/$HOST/$PORT"
    printf '%b' "$V1_IPV4" >&7 # the header is read, the line is not there
    wait_until status_is '.listeners[0].held == 1'
    local before=$BROKER
    kill -KILL "$BROKER"
    wait_until status_is ".pid != $before"
    "$SSHIM" upgrade --control "$CONTROL"
    echo hello >&7
    [[ $(cat <&7) == "$TOLD read=b'hello\n'" ]]
    exec 7>&-
    [[ $(send "${V1_IPV4}hello\\n") == "$TOLD read=b'hello\n'" ]]
    status_is '.listeners[0] | .proxy_rejected == 0 and .connections == 2 and .taken == 2'
    "$SSHIM" stop --control "$CONTROL"
}

@test "workers of a broker without it, taken over by another run, and what they execute, see the client as well" {
    start_proxied
    [[ $(send hello) == *"child=True read=b'hello'" ]]
    local before=$BROKER
    kill -KILL "$BROKER"
    wait_until status_is ".pid != $before"
    before=$(worker_pid 0)
    start_proxied --accept-proxy any --proxy-from 127.0.0.1
    status_is ".pid == $BROKER and .workers[0].pid == $before"
    [[ $(send "${V1_IPV4}hello") == "$TOLD read=b'hello'" ]]
}

@test "rules for one address leave the others alone; mapped and unmapped clients of an IPv6 listener" {
    LISTEN=:: start_proxied --accept-proxy any@1 --proxy-from 127.0.0.1
    [[ $(send hello) =~ ^"('::ffff:127.0.0.1', "[0-9]+") ('::ffff:127.0.0.1', ".*"read=b'hello'"$ ]]
    "$SSHIM" stop --control "$CONTROL"
    LISTEN=:: start_proxied --accept-proxy any --proxy-from 127.0.0.1,::1
    [[ $(send "${V1_IPV4}hello") == "('::ffff:192.0.2.7', 4711) ('::ffff:192.0.2.7', 4711) ('::ffff:198.51.100.1', 80) child=True read=b'hello'" ]]
    [[ $(TO=::1 send 'PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\nhello') == "('2001:db8::7', 4711) ('2001:db8::7', 4711) ('2001:db8::1', 80) child=True read=b'hello'" ]]
    "$SSHIM" stop --control "$CONTROL"
    LISTEN=:: start_proxied --accept-proxy any --proxy-from 127.0.0.1 --proxy-optional --unmap
    [[ $(send "${V1_IPV4}hello") == "('192.0.2.7', 4711) ('192.0.2.7', 4711) ('::ffff:198.51.100.1', 80) child=True read=b'hello'" ]]
    [[ $(TO=::1 send hello) =~ ^"('::1', ".*"read=b'hello'"$ ]]
}

@test "both halves are needed, and a direct hand-out has neither" {
    run "$SSHIM" run --accept-proxy any -- true
    [[ $status == 2 ]]
    [[ $output == *'--accept-proxy needs --proxy-from'* ]]
    run "$SSHIM" run --proxy-from 10.0.0.0/8 -- true
    [[ $status == 2 ]]
    [[ $output == *'--proxy-from needs --accept-proxy'* ]]
    run "$SSHIM" run --handoff direct --deny 10.0.0.0/8 -- true
    [[ $status == 2 ]]
    [[ $output == *'no --deny'* ]]
    run "$SSHIM" run --allow 10.0.0.0/33 -- true
    [[ $status == 2 ]]
    [[ $output == *"invalid value '10.0.0.0/33' for --allow"* ]]
}

@test "the client of the header is the one that is allowed or denied" {
    start_proxied --accept-proxy any --proxy-from 127.0.0.1 --allow 192.0.2.0/24 --deny 192.0.2.128/25
    [[ $(send "${V1_IPV4}hello") == "$TOLD read=b'hello'" ]]
    [[ $(send 'PROXY TCP4 192.0.2.129 198.51.100.1 4711 80\r\nhello') == closed ]]
    [[ $(send 'PROXY TCP4 203.0.113.1 198.51.100.1 4711 80\r\nhello') == closed ]]
    status_is '.listeners[0] | .denied == 2 and .connections == 3 and .taken == 1'
    [[ $(grep -c 'closed a connection of 192.0.2.129: it is denied' "$TMP/log") == 1 ]]
    [[ $(grep -c 'it is denied' "$TMP/log") == 1 ]] # once a minute
    # a connection of the balancer's own is the balancer's
    [[ $(send "$V2"'\x20\0\0\0hello') == closed ]]
    "$SSHIM" allow --control "$CONTROL" 127.0.0.1
    [[ $(send "$V2"'\x20\0\0\0hello') == *"read=b'hello'" ]]
}

@test "clients are denied and allowed while the broker runs, over its death and an upgrade" {
    start_proxied
    [[ $(send hello) == *hello* ]]
    run "$SSHIM" deny --control "$CONTROL" 127.0.0.0/8
    [[ $status == 0 ]]
    [[ $output == '127.0.0.0/8 is denied' ]]
    [[ $(send hello) == closed ]]
    local before=$BROKER
    kill -KILL "$BROKER"
    wait_until status_is ".pid != $before"
    [[ $(send hello) == closed ]]
    "$SSHIM" upgrade --control "$CONTROL"
    [[ $(send hello) == closed ]]
    wait_until log_has 'closed a connection of 127.0.0.1: it is denied'
    run "$SSHIM" allow --control "$CONTROL" 127.0.0.1
    [[ $status == 0 ]]
    [[ $output == '127.0.0.1 is allowed' ]]
    [[ $(send hello) == *hello* ]]
    status_is '.listeners[0] | .denied == 3 and .connections == 5'
    run "$SSHIM" deny --control "$CONTROL" nobody
    [[ $status == 2 ]]
    [[ $output == *"'nobody' is no address and no network"* ]]
    run "$SSHIM" deny --control "$CONTROL"
    [[ $status == 2 ]]
    run "$SSHIM" allow --control "$CONTROL"
    [[ $status == 2 ]]
    "$SSHIM" stop --control "$CONTROL"
}

@test "curl's own header" {
    start_broker -w 2 --accept-proxy any --proxy-from 127.0.0.0/8 -- python3 -m http.server --bind "$HOST" "$PORT" -d "$TMP"
    curl -sS --haproxy-protocol "http://$ADDR/" >/dev/null
    run curl -sS -m 20 "http://$ADDR/"
    [[ $status != 0 ]]
    status_is '.listeners[0] | .taken == 1 and .proxy_rejected == 1'
}

@test "a source has so many connections open, and no more at a time than its rate" {
    start_proxied --accept-proxy any --proxy-from 127.0.0.1 --hold line --max-conns-per-source 2 --source-prefix 24,64
    exec 6<>"/dev/tcp/$HOST/$PORT" 7<>"/dev/tcp/$HOST/$PORT"
    printf "%b" "$V1_IPV4" >&6
    printf "%b" "$V1_IPV4" >&7
    wait_until status_is '.listeners[0].held == 2'
    [[ $(send 'PROXY TCP4 192.0.2.99 198.51.100.1 4711 80\r\nhello\n') == closed ]]
    [[ $(send 'PROXY TCP4 192.0.3.7 198.51.100.1 4711 80\r\nhello\n') == *hello* ]]
    exec 7>&- # its end is seen when the limit is reached
    wait_until status_is '.listeners[0].hung_up == 1'
    [[ $(send "${V1_IPV4}hello\\n") == "$TOLD read=b'hello\\n'" ]]
    exec 6>&-
    log_has 'it has too many connections open (--max-conns-per-source)'
    status_is '.listeners[0] | .limited == 1 and .taken == 2'
    "$SSHIM" stop --control "$CONTROL"
    start_proxied --max-rate-per-source 2/86400 --penalty 86400
    [[ $(send hello) == *hello* && $(send hello) == *hello* && $(send hello) == closed ]]
    status_is '.listeners[0] | .limited == 1 and .taken == 2'
}

@test "with --balance source a client waits until a worker has room, and then is served" {
    start_broker -w 2 --balance source --max-conns-per-worker 1 -- "$VICTIM" epoll --hold "$ADDR"
    exec 5<>"/dev/tcp/$HOST/$PORT" 6<>"/dev/tcp/$HOST/$PORT" 7<>"/dev/tcp/$HOST/$PORT"
    wait_until status_is '[.workers[].active] == [1, 1] and (.listeners[0] | .held + .queued) == 1'
    exec 6>&-
    wait_until status_is '[.workers[].active] == [1, 1] and (.listeners[0] | .held + .queued) == 0'
    exec 5>&- 7>&-
    stop_broker
}

@test "an event loop is offered no more than it may have open; the others wait for the first that closes" {
    local loop="import asyncio, sys
async def answer(reader, writer):
    writer.write(b'hello\n')
    await reader.read()
    writer.close()
async def serve():
    async with await asyncio.start_server(answer, sys.argv[1], int(sys.argv[2])) as server:
        await server.serve_forever()
asyncio.run(serve())"
    start_broker -w 2 --max-conns-per-worker 1 -- python3 -c "$loop" "$HOST" "$PORT"
    exec 4<>"/dev/tcp/$HOST/$PORT" 5<>"/dev/tcp/$HOST/$PORT"
    read -r <&4 && read -r <&5
    exec 6<>"/dev/tcp/$HOST/$PORT"
    wait_until status_is '.listeners[0].held_complete == 1'
    status_is '[.workers[].active] == [1, 1]'
    exec 4>&-
    read -r <&6
    status_is '.listeners[0].held == 0 and [.workers[].active] == [1, 1]'
    exec 5>&- 6>&-
}

@test "a worker of another user cannot write to the table of clients" {
    needs_root
    share_build
    cp "$ROOT/tests/progs/proxied.py" "$TMP"
    start_broker -w 1 --user nobody --accept-proxy any --proxy-from 127.0.0.1 -- python3 "$TMP/proxied.py" write "$HOST" "$PORT"
    [[ $(send "${V1_IPV4}hello") == 'read-only: EACCES EACCES EPERM' ]]
}
