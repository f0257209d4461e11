#!/usr/bin/env bash
# gunicorn 20.1.0 (--proxy-protocol) and puma 5.6.5 (proxy_protocol: :v1): "PROXY UNKNOWN" is answered with status 400.
#
# A proxy says this of a client that has no TCP address, as haproxy of each client of its unix sockets. gunicorn takes a line of six
# words with TCP4 or TCP6 alone; puma's pattern wants something after UNKNOWN, and the line is taken for a bad request.
# One would guess: the line is accepted and the address of the connection is used, as the protocol says a receiver must. A proxy that
# gets a unix socket in front of it, for local clients or a second proxy on the host, is answered 400 for each request of those.
source "$(dirname "$0")/common.sh"

unpack_debs haproxy liblua5.3-0 libopentracing-c-wrapper0 libopentracing1 python3-gunicorn python3-pkg-resources \
    puma ruby-nio4r ruby-rack ruby3.1 libruby3.1 rubygems-integration
root=$work/root lib=x86_64-linux-gnu
cat >"$work/app.py" <<'PY'
def app(environ, respond):
    respond("200 OK", [("Content-Length", "1")])
    return [b"x"]
PY
echo 'run lambda { |env| [200, {}, ["x"]] }' >"$work/config.ru"
gunicorn=$(free_port) puma=$(free_port) haproxy=$(free_port)
cat >"$work/puma.rb" <<RUBY
bind 'tcp://127.0.0.1:$puma'
set_remote_address proxy_protocol: :v1
RUBY
cat >"$work/haproxy.cfg" <<CFG
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend here
    bind 127.0.0.1:$haproxy
    bind unix@$work/haproxy
    use_backend puma if { path /puma }
    use_backend plain if { path /plain }
    default_backend gunicorn
backend gunicorn
    server one 127.0.0.1:$gunicorn send-proxy
backend puma
    server one 127.0.0.1:$puma send-proxy
backend plain
    server one unix@$work/plain send-proxy
frontend plain
    bind unix@$work/plain accept-proxy
    http-request return status 200
CFG
ruby=(env LD_LIBRARY_PATH="$root/usr/lib/$lib" RUBYLIB="$root/usr/lib/ruby/3.1.0:$root/usr/lib/$lib/ruby/3.1.0:$root/usr/lib/ruby/vendor_ruby"
    GEM_PATH="$root/usr/share/rubygems-integration/all:$root/usr/lib/$lib/rubygems-integration/3.1.0" "$root/usr/bin/ruby3.1")
start env PYTHONPATH="$root/usr/lib/python3/dist-packages" /usr/bin/python3 -m gunicorn --chdir "$work" --proxy-protocol \
    -b "127.0.0.1:$gunicorn" app:app >/dev/null 2>&1
start "${ruby[@]}" "$root/usr/bin/puma" -C "$work/puma.rb" "$work/config.ru" >/dev/null 2>&1
start env LD_LIBRARY_PATH="$root/usr/lib/$lib" "$root/usr/sbin/haproxy" -db -f "$work/haproxy.cfg" >/dev/null 2>&1
for port in "$gunicorn" "$puma" "$haproxy"; do
    wait_for is_listening "$port" || give_up "a server does not listen"
done
asks() { # CURL'S OPTION... PATH
    curl -s -m 5 -o /dev/null -w '%{http_code}' "${@:1:$#-1}" "http://127.0.0.1:$haproxy/${*: -1}"
}
for server in plain gunicorn puma; do
    expected=400
    [[ $server == plain ]] && expected=200
    expect "$server, a TCP client of haproxy" "$(asks "$server")" 200
    expect "$server, a client of haproxy's unix socket" "$(asks --unix-socket "$work/haproxy" "$server")" "$expected"
done
finish
