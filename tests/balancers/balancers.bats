#!/usr/bin/env bats
# Real senders of PROXY headers, and real receivers: each server tells the client of the balancer, not the balancer.

load ../helpers


# Each way is a URL: the client's address is $CLIENT, that of each balancer 127.0.0.1.
start_balancers() {
    local ports i
    CLIENT=127.9.8.7 BALANCERS=() WAYS=()
    for i in {0..6}; do ports[i]=$("$PROBE" --free-port); done
    start_haproxy "${ports[0]}" "${ports[1]}"
    start_nginx_stream "${ports[2]}"
    make_certificate
    start_stunnel "${ports[3]}"
    start_hitch "${ports[4]}" v1
    start_hitch "${ports[5]}" v2
    start_varnish "${ports[6]}"
    for i in {0..6}; do wait_until listens "${ports[i]}"; done
}

# balancer NAME COMMAND...: in the background; what it says is in $TMP/out.NAME.
balancer() {
    "${@:2}" >"$TMP/out.$1" 2>&1 </dev/null 3>&- &
    BALANCERS+=($!)
}

start_haproxy() { # PORT-OF-V1 PORT-OF-V2
    cat >"$TMP/haproxy.cfg" <<EOF
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
listen v1
    bind 127.0.0.1:$1
    server s $ADDR send-proxy source 127.0.0.1
listen v2
    bind 127.0.0.1:$2
    server s $ADDR send-proxy-v2 proxy-v2-options crc32c,unique-id source 127.0.0.1
EOF
    balancer haproxy haproxy -f "$TMP/haproxy.cfg" -db
    WAYS+=("http://127.0.0.1:$1" "http://127.0.0.1:$2")
}

start_nginx_stream() { # PORT
    cat >"$TMP/stream.conf" <<EOF
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
pid $TMP/stream.pid;
error_log stderr;
events {}
stream {
    server {
        listen 127.0.0.1:$1;
        proxy_pass $ADDR;
        proxy_bind 127.0.0.1;
        proxy_protocol on;
    }
}
EOF
    balancer stream nginx -c "$TMP/stream.conf" -p "$TMP"
    WAYS+=("http://127.0.0.1:$1")
}

# Those that end TLS.
make_certificate() {
    openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=balancer -keyout "$TMP/key" -out "$TMP/cert" 2>/dev/null
    cat "$TMP/key" "$TMP/cert" >"$TMP/pem"
}

start_stunnel() { # PORT
    printf '%s\n' 'foreground = yes' 'pid =' '[web]' "accept = 127.0.0.1:$1" "connect = $ADDR" "cert = $TMP/pem" 'protocol = proxy' >"$TMP/stunnel.conf"
    balancer stunnel stunnel4 "$TMP/stunnel.conf"
    WAYS+=("https://127.0.0.1:$1")
}

start_hitch() { # PORT v1|v2
    printf '%s\n' "frontend = \"[127.0.0.1]:$1\"" "backend = \"[$HOST]:$PORT\"" "pem-file = \"$TMP/pem\"" "write-proxy-$2 = on" 'user = "nobody"' \
        'workers = 1' >"$TMP/hitch.$2.conf"
    balancer "hitch.$2" hitch "--config=$TMP/hitch.$2.conf"
    WAYS+=("https://127.0.0.1:$1")
}

start_varnish() { # PORT
    printf 'vcl 4.1;\nbackend s { .host = "%s"; .port = "%s"; .proxy_header = 2; }\nsub vcl_recv { return (pass); }\n' "$HOST" "$PORT" >"$TMP/web.vcl"
    balancer varnish varnishd -F -n "$TMP/varnish" -a "127.0.0.1:$1" -f "$TMP/web.vcl" -s malloc,16m
    WAYS+=("http://127.0.0.1:$1")
}

listens() { # PORT
    ss -Hltn "sport = :$1" | grep -q .
}

stop_balancers() {
    kill "${BALANCERS[@]}"
    wait "${BALANCERS[@]}" || true
}

fetch() { # URL
    curl -sSk -m 30 --interface "$CLIENT" "$1/"
}

# each_way CHECK...: a check that gets what the server answered, by each balancer
each_way() {
    local way
    start_balancers
    for way in "${WAYS[@]}"; do
        answer=$(fetch "$way")
        echo "by $way: $answer"
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

@test "an access log of Apache" {
    local modules=/usr/lib/apache2/modules slot
    echo page >"$TMP/index.html"
    for slot in 0 1; do
        cat >"$TMP/apache$slot.conf" <<EOF
ServerName localhost
ServerRoot $TMP
DocumentRoot $TMP
DefaultRuntimeDir $TMP
PidFile $TMP/apache$slot.pid
ErrorLog /dev/stderr
Listen $ADDR
User nobody
Group nogroup
LoadModule mpm_prefork_module $modules/mod_mpm_prefork.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule dir_module $modules/mod_dir.so
CustomLog $TMP/access "%h %a %{remote}p %A"
EOF
    done
    start_behind apache2 -X -f "$TMP/apache{id}.conf"
    each_way log_tells_client "$TMP/access"
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
    fconfigure $channel -translation {auto lf}
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
