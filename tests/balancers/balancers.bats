#!/usr/bin/env bats
# Real senders of PROXY headers, and real receivers: each server tells the client of the balancer, not the balancer.

load ../helpers


# The balancers' own addresses: the client's is $CLIENT, that of each way 127.0.0.1.
start_balancers() {
    CLIENT=127.9.8.7
    V1=$("$PROBE" --free-port) V2=$("$PROBE" --free-port) STREAM=$("$PROBE" --free-port)
    cat >"$TMP/haproxy.cfg" <<EOF
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
listen v1
    bind 127.0.0.1:$V1
    server s $ADDR send-proxy source 127.0.0.1
listen v2
    bind 127.0.0.1:$V2
    server s $ADDR send-proxy-v2 proxy-v2-options crc32c,unique-id source 127.0.0.1
EOF
    cat >"$TMP/stream.conf" <<EOF
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
pid $TMP/stream.pid;
error_log stderr;
events {}
stream {
    server {
        listen 127.0.0.1:$STREAM;
        proxy_pass $ADDR;
        proxy_bind 127.0.0.1;
        proxy_protocol on;
    }
}
EOF
    haproxy -f "$TMP/haproxy.cfg" -db >"$TMP/out.haproxy" 2>&1 3>&- &
    HAPROXY=$!
    nginx -c "$TMP/stream.conf" -p "$TMP" >"$TMP/out.stream" 2>&1 3>&- &
    NGINX=$!
    for port in "$V1" "$V2" "$STREAM"; do wait_until listens "$port"; done
}

listens() { # PORT
    ss -Hltn "sport = :$1" | grep -q .
}

stop_balancers() {
    kill "$HAPROXY" "$NGINX"
    wait "$HAPROXY" "$NGINX" || true
}

fetch() { # PORT
    curl -sS -m 30 --interface "$CLIENT" "http://127.0.0.1:$1/${2:-}"
}

# each_way CHECK...: a check that gets what the server answered, by each balancer
each_way() {
    local port
    start_balancers
    for port in "$V1" "$V2" "$STREAM"; do
        answer=$(fetch "$port" "$FILE")
        echo "by $port: $answer"
        "$@" || { stop_balancers; return 1; }
    done
    stop_balancers
}

tells_client() {
    [[ $answer == *"$CLIENT"* && $answer != *127.0.0.1* ]]
}

log_tells_client() { # FILE
    wait_until grep -qF "$CLIENT" "$1" && ! grep -qF 127.0.0.1 "$1" && : >"$1"
}

start_behind() { # COMMAND...
    start_broker -w 2 --accept-proxy any --proxy-from 127.0.0.1 -- "$@"
}

@test "an access log of nginx" {
    cat >"$TMP/web.conf" <<EOF
daemon off; master_process off; pid $TMP/web-{id}.pid; error_log stderr;
events {}
http { access_log $TMP/access; server { listen $ADDR; location / { return 200 "\$remote_addr\n"; } } }
EOF
    sed 's/{id}/0/' "$TMP/web.conf" >"$TMP/web0.conf"
    sed 's/{id}/1/' "$TMP/web.conf" >"$TMP/web1.conf"
    start_behind nginx -c "$TMP/web{id}.conf" -p "$TMP"
    each_way tells_client
    log_tells_client "$TMP/access"
}

@test "Python's http.server" {
    start_behind python3 -u -m http.server --bind "$HOST" "$PORT" -d "$TMP"
    each_way log_tells_client "$TMP/log"
}

@test "Node" {
    start_behind node -e 'require("http").createServer((q, r) => r.end(q.socket.remoteAddress + "\n")).listen(+process.argv[2], process.argv[1])' "$HOST" "$PORT"
    each_way tells_client
}

@test "Tcl" {
    cat >"$TMP/server.tcl" <<'EOF'
proc answer {channel address port} {
    while {[gets $channel line] > 1} {}
    puts $channel "HTTP/1.0 200 OK\r\n\r\n$address [lindex [fconfigure $channel -peername] 0]"
    close $channel
}
socket -server answer -myaddr [lindex $argv 0] [lindex $argv 1]
vwait forever
EOF
    start_behind tclsh "$TMP/server.tcl" "$HOST" "$PORT"
    each_way tells_client
}

@test "tcpserver: TCPREMOTEIP of a program for each connection" {
    # shellcheck disable=SC2016 # for the inner shell
    start_behind tcpserver -HRl0 "$HOST" "$PORT" sh -c 'printf "HTTP/1.0 200 OK\r\n\r\n%s\n" "$TCPREMOTEIP"; timeout 5 head -n 3 >/dev/null'
    each_way tells_client
}
