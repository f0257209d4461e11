# Servers that change their port at run time, each in its own way: the clients of the old port are refused, every copy
# serves the new one, status says so, and nothing is left in the broker.
load helpers

# start_copies COPIES [OPTIONS OF run]: runs the script on stdin for each copy, as PORT FOLDER. Both ports are to be shared,
# since the servers bind the new one when they have served, and before they close the old one.
start_copies() {
    local copies=$1
    shift
    cat >"$TMP/start.sh"
    SECOND_PORT=$("$PROBE" --free-port)
    while [[ $SECOND_PORT == "$PORT" ]]; do SECOND_PORT=$("$PROBE" --free-port); done
    export HOST
    start_broker -w "$copies" "$@" -- sh -eu "$TMP/start.sh" "$PORT" "$TMP/copy-{id}"
}

is_refused() { # PORT
    ! { exec 6<>"/dev/tcp/$HOST/$1"; } 2>"$TMP/refused" && grep -q "Connection refused" "$TMP/refused"
}

# All copies listen on this port; no other port and no draining copy is there.
all_serve() { # PORT COPIES
    status_is "[.listeners[].address | select(startswith(\"unix:\") | not)] == [\"$HOST:$1\"] and .state == \"ready\" and .drained == 0
        and ([.workers[] | select(.state == \"ready\" or .state == \"busy\")] | length) == $2 and (.workers | length) == $2"
}

# Changes every copy by change_copy SLOT PORT, and looks at what clients of both ports meet, which ask PORT as.
change() { # FROM TO COPIES
    local slot
    ask "$1"
    for ((slot = 0; slot < $3; slot++)); do change_copy "$slot" "$2"; done
    wait_until all_serve "$2" "$3"
    wait_until is_refused "$1"
    ask "$2"
}

# After a change there and back the broker has what it needs, and does not grow any more.
changes_leave_nothing() { # COPIES TIMES
    local i before=0
    for ((i = 0; i <= $2; i++)); do
        change "$PORT" "$SECOND_PORT" "$1"
        change "$SECOND_PORT" "$PORT" "$1"
        ((i > 0)) || before=$(broker_fds)
    done
    echo "$(broker_fds) descriptors, $before before $2 changes there and back"
    (($(broker_fds) == before))
    stop_broker
}

nginx_script() {
    cat <<'END'
mkdir -p "$2/logs"
cat >"$2/nginx.conf" <<CONF
user root;
daemon off;
pid $2/pid;
error_log stderr;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path $2/body;
    proxy_temp_path $2/proxy;
    fastcgi_temp_path $2/fastcgi;
    uwsgi_temp_path $2/uwsgi;
    scgi_temp_path $2/scgi;
    server { listen $HOST:$1; return 200 "served\n"; }
}
CONF
exec nginx -p "$2" -c "$2/nginx.conf"
END
}

nginx_changes() { # SLOT PORT
    sed -i "s/listen [^;]*/listen $HOST:$2/" "$TMP/copy-$1/nginx.conf"
    nginx -p "$TMP/copy-$1" -c "$TMP/copy-$1/nginx.conf" -s reload 3>&- 8>&-
}

@test "nginx -s reload with another port" {
    change_copy() { nginx_changes "$@"; }
    ask() { [[ $(curl -sS -m 10 "http://$HOST:$1/") == served ]]; }
    start_copies 3 --share all < <(nginx_script)
    changes_leave_nothing 3 2
}

@test "HUP of sshd with another Port" {
    change_copy() { # SLOT PORT
        echo "Port $2" >"$TMP/copy-$1/port.conf"
        kill -HUP "$(worker_pid "$1")"
    }
    ask() { [[ $(read -r -N 8 -t 10 banner <"/dev/tcp/$HOST/$1" && echo "$banner") == SSH-2.0- ]]; }
    [[ $(id -u) != 0 ]] || mkdir -p /run/sshd # sshd of another user wants none
    ssh-keygen -q -t ed25519 -N '' -f "$TMP/key"
    start_copies 3 <<END
mkdir -p "\$2"
echo "Port \$1" >"\$2/port.conf"
echo "Include \$2/port.conf" >"\$2/sshd.conf"
exec /usr/sbin/sshd -D -e -f "\$2/sshd.conf" -o ListenAddress=$HOST -o HostKey=$TMP/key -o PidFile=none -o UsePAM=no
END
    changes_leave_nothing 3 2
}

@test "CONFIG SET port of redis" {
    change_copy() { # SLOT PORT
        [[ $(redis-cli -s "$TMP/copy-$1/admin.sock" CONFIG SET port "$2") == OK ]]
    }
    ask() { [[ $(redis-cli -h "$HOST" -p "$1" PING) == PONG ]]; }
    start_copies 3 --share all <<'END'
mkdir -p "$2"
exec redis-server --bind "$HOST" --port "$1" --unixsocket "$2/admin.sock" --dir "$2" --save '' --appendonly no
END
    changes_leave_nothing 3 2
}
