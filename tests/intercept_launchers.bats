# Servers that something else starts, with other rights or another environment, and those whose file gives them rights: each is
# served by seccomp notification, and keeps what it has.
load helpers

STATIC=$BUILD/tests/unloaded/victim

setup_file() {
    [[ $(id -u) == 0 ]] || skip "only root can start programs with other rights"
}

all_go_by_seccomp() {
    status_is '[.workers[].via] | unique == ["seccomp"]'
}

# The process that serves, whatever has started it.
server_pid() { # SLOT
    local pid
    pid=$(worker_pid "$1")
    while [[ -n $(pgrep -P "$pid") ]]; do
        pid=$(pgrep -o -P "$pid")
    done
    echo "$pid"
}

runs_as() { # USER PID
    [[ $(stat -c %U "/proc/$2") == "$1" ]]
}

@test "a server with a file capability keeps it: nobody's own socket on a low port" {
    share_build
    cp "$VICTIM" "$TMP/build/server"
    setcap cap_net_bind_service+ep "$TMP/build/server"
    local low=$HOST:$((700 + RANDOM % 200))
    start_broker -w 2 --user nobody -- "$TMP/build/server" accept "$low"
    log_has "file capabilities"
    all_go_by_seccomp
    all_answer 2 "$low"
    runs_as nobody "$(worker_pid 0)"
    # bit 10 is CAP_NET_BIND_SERVICE; a filter that had cost no_new_privs would have taken it away
    (($(sed -n 's/^CapEff:\t/0x/p' "/proc/$(worker_pid 0)/status") >> 10 & 1))
    stop_broker
}

@test "sudo -u in front of a server of either kind: it runs as that user, and is replaced one by one" {
    share_build
    cp "$STATIC" "$TMP/build/static"
    local server
    for server in "$TMP/build/static" "$VICTIM"; do
        start_broker -w 2 -- sudo -u nobody "$server" accept "$ADDR"
        all_go_by_seccomp
        ANSWER_BY=pid all_answer 2
        runs_as nobody "$(server_pid 0)"
        [[ $("$SSHIM" restart --control "$CONTROL" 3>&-) == "2 of 2 workers were replaced" ]]
        ANSWER_BY=pid all_answer 2
        stop_broker
    done
}

@test "setpriv in front of a server, with its environment and without" {
    share_build
    cp "$STATIC" "$TMP/build/static"
    start_broker -w 2 -- setpriv --reuid=65534 --clear-groups "$TMP/build/static" accept "$ADDR"
    all_go_by_seccomp
    all_answer 2
    runs_as nobody "$(server_pid 0)"
    stop_broker
    start_broker -w 2 -- setpriv --reuid=65534 --clear-groups --reset-env "$VICTIM" accept "$ADDR"
    all_go_by_seccomp
    ANSWER_BY=pid all_answer 2
    runs_as nobody "$(server_pid 1)"
    stop_broker
}
