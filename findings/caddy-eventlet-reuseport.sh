#!/usr/bin/env bash
# Caddy 2.6.2 and eventlet 0.33.1: a second copy on the same port starts without an error and takes half of the clients.
#
# Both set SO_REUSEPORT unasked: Caddy on each TCP socket, that of its admin interface too, so that `caddy stop` and `caddy reload` reach one
# of the two; eventlet.listen() on each with a port other than 0 (its reuse_port=None means True, and its documentation does not have it).
# One would guess: EADDRINUSE, as SO_REUSEPORT is something one asks for. A forgotten old process, or a deploy that did not stop it,
# serves every other client; and those queued on a copy that ends are reset, although another copy listens on.
source "$(dirname "$0")/common.sh"

unpack_debs caddy python3-eventlet python3-greenlet python3-dnspython python3-six
second() { # PORT COMMAND...: starts two copies and puts how many sockets listen into $listeners
    local port=$1
    shift
    start env COPY=one "$@" >/dev/null 2>"$work/one"
    wait_for is_listening "$port" || give_up "$1 does not listen"
    start env COPY=two "$@" >/dev/null 2>"$work/two"
    wait_for has_two "$port"
    listeners=$(ss -Htln "sport = :$port" | wc -l)
}
# shellcheck disable=SC2317 # wait_for calls it
has_two() { # PORT
    (($(ss -Htln "sport = :$1" | wc -l) == 2))
}
answers() { # PORT
    for _ in {1..40}; do
        fetch "$1"
        echo
    done | sort -u | paste -sd' '
}

port=$(free_port) admin=$(free_port)
cat >"$work/Caddyfile" <<CADDY
{
    admin 127.0.0.1:$admin
}
http://127.0.0.1:$port {
    bind 127.0.0.1
    respond {\$COPY}
}
CADDY
export XDG_DATA_HOME=$work/data XDG_CONFIG_HOME=$work/data
second "$port" "$work/root/usr/bin/caddy" run --adapter caddyfile --config "$work/Caddyfile"
expect 'caddy, sockets that listen' "$listeners" 2
expect 'caddy, sockets of the admin interface' "$(ss -Htln "sport = :$admin" | wc -l)" 2
expect 'caddy, who answers' "$(answers "$port")" 'one two'

port=$(free_port)
cat >"$work/server.py" <<'PY'
import os, sys
import eventlet
from eventlet import wsgi
def app(environ, respond):
    respond("200 OK", [])
    return [os.environ["COPY"].encode()]
wsgi.server(eventlet.listen(("127.0.0.1", int(sys.argv[1]))), app)
PY
second "$port" env PYTHONPATH="$work/root/usr/lib/python3/dist-packages" /usr/bin/python3 "$work/server.py" "$port"
expect 'eventlet, sockets that listen' "$listeners" 2
expect 'eventlet, who answers' "$(answers "$port")" 'one two'
finish
