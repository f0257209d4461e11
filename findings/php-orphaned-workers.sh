#!/usr/bin/env bash
# PHP 8.2 (php -S with PHP_CLI_SERVER_WORKERS) and fcgiwrap 1.1.0 (-c): after SIGTERM their workers go on serving, without a parent.
#
# php -S handles SIGINT only, and its parent sends the workers nothing: it relies on Ctrl-C, which reaches the whole group. After a SIGINT
# to the parent alone, the parent waits for the workers, which serve on. The parent of fcgiwrap has no handler at all, although
# fcgiwrap without -c ends well. PHP_CLI_SERVER_WORKERS=3 makes four processes that serve.
# One would guess: SIGTERM to a server with workers ends the workers. As they hold the socket, the next start fails with EADDRINUSE.
source "$(dirname "$0")/common.sh"

unpack_debs php8.2-cli libargon2-1 libsodium23 libxml2 libicu72 fcgiwrap libfcgi0ldbl
echo '<?php echo getmypid();' >"$work/pid.php"
with=(env LD_LIBRARY_PATH="$work/root/usr/lib/x86_64-linux-gnu")
serving() { # PORT COUNT: how many processes answer; it asks until it has seen COUNT
    local -A pids=()
    for _ in {1..300}; do
        pids[$(fetch "$1" pid.php)]=1
        ((${#pids[@]} >= $2)) && break
    done
    echo ${#pids[@]}
}
start_php() { # PORT
    PHP_CLI_SERVER_WORKERS=3 start_alone "${with[@]}" "$work/root/usr/bin/php8.2" -n -S "127.0.0.1:$1" -t "$work" >/dev/null 2>&1
    wait_for fetch "$1" pid.php || give_up 'php does not answer'
}

port=$(free_port)
start_php "$port"
expect 'php, processes that serve' "$(serving "$port" 4)" 4
kill -TERM "$!"
wait_end "$!"
expect 'php, exit status of the parent after SIGTERM' "$status" 143
expect 'php, processes that serve after SIGTERM' "$(serving "$port" 3)" 3
port=$(free_port)
start_php "$port"
kill -INT "$!"
sleep 1
expect 'php, the parent after SIGINT' "$(kill -0 "$!" && echo waits)" waits
expect 'php, processes that serve after SIGINT' "$(serving "$port" 3)" 3

start_fcgiwrap() { # COUNT
    start_alone "${with[@]}" python3 "$here/with_fds.py" 0 0 "$work/root/usr/sbin/fcgiwrap" -c "$1"
    wait_for pgrep -g "$!" fcgiwrap && sleep 0.5
}
start_fcgiwrap 1
kill -TERM "$!"
wait_end "$!"
expect 'fcgiwrap -c 1, exit status after SIGTERM' "$status" 0
start_fcgiwrap 3
kill -TERM "$!"
wait_end "$!"
expect 'fcgiwrap -c 3, exit status after SIGTERM' "$status" 143
expect 'fcgiwrap -c 3, processes afterwards' "$(pgrep -c -g "$!" fcgiwrap)" 3
finish
