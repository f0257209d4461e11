# The command line: what is wrong is said in one line that tells what to do, with the right exit code.
load helpers

# refuses CODE TEXT ARGUMENTS...: sshim ARGUMENTS ends with CODE and one line on stderr that has TEXT.
refuses() {
    local code=$1 text=$2
    shift 2
    # not by `run`, which takes 127 for a mistake of the test
    status=0
    output=$(timeout 30 "$SSHIM" "$@" 2>&1 3>&- </dev/null) || status=$?
    echo "exit code $status, said: $output"
    [[ $status == "$code" ]]
    [[ $(wc -l <<<"$output") == 1 ]]
    [[ $output == "sshim: "*"$text"* ]]
}

@test "--help and -h print the options to stdout and exit 0" {
    local form
    for form in --help -h help "run --help" "run -h" "status --help" "stop --help"; do
        # shellcheck disable=SC2086
        run "$SSHIM" $form 2>"$TMP/err"
        [[ $status == 0 ]]
        [[ $output == *"sshim run [options] -- COMMAND"* ]]
        [[ ! -s $TMP/err ]]
    done
}

@test "--help tells every option of run, status and stop" {
    local help option
    help=$("$SSHIM" --help)
    for option in -w --workers --name --control --handoff --balance --share --unshared --stop-timeout --start-timeout \
        --ready-fd -q -v --json; do
        [[ $help == *"$option"* ]]
    done
}

@test "version prints a number and exits 0" {
    run "$SSHIM" version
    [[ $status == 0 ]]
    [[ $output =~ ^sshim\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
}

@test "version --json is one document" {
    [[ $("$SSHIM" version --json | jq -r .version) == "$("$SSHIM" version | cut -d' ' -f2)" ]]
    [[ $("$SSHIM" version --json | jq -r .protocol) == 1 ]]
}

@test "sshim alone says in ten lines what it is and what to type, exit 2" {
    run "$SSHIM"
    [[ $status == 2 ]]
    ((${#lines[@]} <= 10))
    [[ ${lines[0]} == *"several copies of an unmodified server"* ]]
    [[ $output == *"sshim run -w 4 -- "* && $output == *"sshim --help"* ]]
}

@test "an unknown command is exit 2 and named" {
    refuses 2 "'frobnicate'" frobnicate
}

@test "an unknown option is exit 2 and named" {
    refuses 2 "--frobnicate" run --control "$CONTROL" --frobnicate -- true
    refuses 2 "-Z" run --control "$CONTROL" -Z -- true
    refuses 2 "-Z" run --control "$CONTROL" -qZv -- true
    refuses 2 "--quiet=1" run --quiet=1 -- true
    refuses 2 "--frobnicate" status --frobnicate
    refuses 2 "--frobnicate" stop --frobnicate
}

@test "an option without its value is exit 2 and named" {
    refuses 2 "--workers" run --workers
    refuses 2 "-w" run -w
    refuses 2 "--control" run --control
    refuses 2 "option --when-full needs a value" run --when-full -- true
    refuses 2 "option --workers needs a value" run -w -- true
}

@test "an invalid number of workers is exit 2" {
    local bad
    for bad in -1 100000 4097 2x '' ' 2' 0x2 1.5 99999999999999999999 many; do
        refuses 2 "'$bad' for --workers" run --control "$CONTROL" -w "$bad" -- true
    done
}

@test "more workers than can be ready are refused, exit 2" {
    refuses 2 "--ready-min 9 is never reached with at most 2 workers" run --ready-min 9 -w 2 -- true
    refuses 2 "--ready-min 5 is never reached with at most 4 workers" run --ready-min 5 -w 2..4 -- true
    "$SSHIM" run --dry-run --ready-min 4 -w 2..4 -- true
}

@test "a path that is too long for a socket is exit 2, with the limit" {
    local long
    long=$TMP/$(printf 'x%.0s' {1..110})
    refuses 2 "at most 102 bytes" run --control-ro "$long" -- true
    refuses 2 "at most 107 bytes" run --metrics "$long" -- true
}

@test "a choice that does not exist is exit 2 and the choices are told" {
    refuses 2 "auto, broker, direct" run --handoff sideways -- true
    refuses 2 "leastconn, roundrobin, source, first" run --balance fair -- true
}

@test "invalid seconds, milliseconds and backlogs are exit 2" {
    local bad
    for bad in -1 x '' 86401; do
        refuses 2 "'$bad' for --stop-timeout" run --stop-timeout "$bad" -- true
        refuses 2 "'$bad' for --start-timeout" run --start-timeout "$bad" -- true
    done
    refuses 2 "'0' for --accept-timeout" run --accept-timeout 0 -- true
    refuses 2 "'0' for --backlog" run --backlog 0 -- true
    refuses 2 "'apps' for --backlog" run --backlog apps -- true
}

@test "an address that is none is exit 2" {
    local bad
    for bad in host:port 70000 1.2.3.4 :80 '[::1' '' 1.2.3.4:70000; do
        refuses 2 "'$bad' for --share" run --share "$bad" -- true
        refuses 2 "'$bad' for --unshared" run --unshared "$bad" -- true
    done
}

@test "a ready-fd that is not open is exit 2" {
    refuses 2 "'77' for --ready-fd" run --control "$CONTROL" --ready-fd 77 -- true
    refuses 2 "'x' for --ready-fd" run --ready-fd x -- true
}

@test "no command with workers, and workers without command, are exit 2" {
    refuses 2 "no command" run --control "$CONTROL" -w 2
    refuses 2 "-w 0" run --control "$CONTROL" -w 0 -- true
}

@test "a name that could be a path is exit 2" {
    local bad
    for bad in ../x a/b '' .hidden 'a b' "$(printf 'n%.0s' {1..64})"; do
        refuses 2 "--name" run --name "$bad" -- true
        refuses 2 "'$bad' for --name" status --name "$bad"
        refuses 2 "'$bad' for --name" stop --name "$bad"
    done
}

@test "arguments behind status and stop are exit 2" {
    refuses 2 "extra" status extra
    refuses 2 "extra" stop extra
    refuses 2 "extra" restart 1 extra
    refuses 2 "needs the number of a slot" drain
    refuses 2 "needs the number of a slot" resume
    refuses 2 "needs the number of a slot" kill
    refuses 2 "'x' for --timeout" drain 1 --timeout x
}

@test "a command that does not exist is 127, as with env" {
    refuses 127 "/nonexistent/server" run --control "$CONTROL" -w 2 -- /nonexistent/server
    refuses 127 "no-such-command-here" run --control "$CONTROL" -- no-such-command-here
}

@test "a command that is not executable is 126, as with env" {
    echo data >"$TMP/data"
    chmod 644 "$TMP/data"
    refuses 126 "$TMP/data" run --control "$CONTROL" -w 2 -- "$TMP/data"
    refuses 126 "$TMP" run --control "$CONTROL" -w 2 -- "$TMP"
}

@test "a library that is not there is exit 2, before anything starts" {
    SSHIM_LIB=/nonexistent/lib.so refuses 2 "SSHIM_LIB" run --control "$CONTROL" -- touch "$TMP/started"
    [[ ! -e $TMP/started ]]
}

@test "the library is found beside sshim and in ../lib/sshim" {
    mkdir -p "$TMP/p/bin" "$TMP/p/lib/sshim"
    cp "$SSHIM" "$TMP/p/bin/"
    cp "$LIB" "$TMP/p/lib/sshim/"
    SSHIM=$TMP/p/bin/sshim
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    grep -q "$TMP/p/lib/sshim/libsshim.so" "/proc/$(worker_pid 0)/maps"
    stop_broker
    cp "$LIB" "$TMP/p/bin/"
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    grep -q "$TMP/p/bin/libsshim.so" "/proc/$(worker_pid 0)/maps"
    stop_broker
    mv "$TMP/p" "$TMP/q"
    rm "$TMP/q/bin/libsshim.so" "$TMP/q/lib/sshim/libsshim.so"
    SSHIM=$TMP/q/bin/sshim refuses 2 "libsshim.so" run --control "$CONTROL" -- true
}

@test "an LD_PRELOAD that was set is kept behind the library" {
    # a broker built with AddressSanitizer wants its library first
    ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD=libm.so.6 start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    local pid
    pid=$(worker_pid 0)
    tr '\0' '\n' <"/proc/$pid/environ" | grep -qx "LD_PRELOAD=$LIB:libm.so.6"
    grep -q libm.so.6 "/proc/$pid/maps"
    probe 3
    stop_broker
}

@test "{id} in an argument and SSHIM_WORKER_ID are the slot" {
    # shellcheck disable=SC2016
    start_broker -w 3 -- sh -c 'echo "$SSHIM_WORKER_ID $1 $2" >"$0/seen.$SSHIM_WORKER_ID"; exec "$3" accept "$4"' \
        "$TMP" '{id}' 'a{id}b{id}' "$VICTIM" "$ADDR"
    [[ $(cat "$TMP"/seen.*) == $'0 0 a0b0\n1 1 a1b1\n2 2 a2b2' ]]
    stop_broker
}

@test "-w auto starts a copy per usable core" {
    start_broker -w auto -- "$VICTIM" accept "$ADDR"
    status_is ".workers | length == $(nproc)"
    stop_broker
    start_broker -- "$VICTIM" accept "$ADDR"
    status_is ".workers | length == $(nproc)"
    stop_broker
}

@test "-w auto is less where the cgroup's cpu.max permits less, and -v says which it took" {
    [[ $(id -u) == 0 ]] || skip "only root can mount another cgroup tree"
    mkdir "$TMP/cgroup"
    echo "50000 100000" >"$TMP/cgroup/cpu.max"
    printf '#!/bin/sh\nexec unshare -m sh -c "mount --bind %s /sys/fs/cgroup && exec %s \\"\\$@\\"" sh "$@"\n' "$TMP/cgroup" "$SSHIM" >"$TMP/limited"
    chmod 755 "$TMP/limited"
    SSHIM=$TMP/limited start_broker -v -- "$VICTIM" accept "$ADDR"
    status_is '.workers | length == 1'
    if (($(nproc) > 1)); then
        log_has "-w auto: workers: 1, by cpu.max of the cgroup; cores that are usable: $(nproc)"
    fi
    stop_broker
    : >"$TMP/log"
    start_broker -v -- "$VICTIM" accept "$ADDR"
    log_has "-w auto: workers: $(nproc), as many as cores are usable"
    stop_broker
}

@test "--ready-fd gets one newline when all are ready, and no worker holds it" {
    mkfifo "$TMP/fifo"
    exec 7<>"$TMP/fifo"
    "$SSHIM" run --control "$CONTROL" --ready-fd 7 -w 3 -- "$VICTIM" accept "$ADDR" 3>&- 2>"$TMP/log" &
    BROKER=$!
    exec 6<"$TMP/fifo" 7>&-
    IFS= read -r -t "$DEADLINE_S" -u 6 line
    [[ -z $line ]]
    workers_ready 3
    # End of file: nobody else holds the other end.
    run timeout 10 cat <&6
    exec 6<&-
    [[ $status == 0 ]]
    [[ -z $output ]]
    stop_broker
}

@test "-q is silent and -v tells of each worker" {
    start_broker -q -w 2 -- "$VICTIM" accept "$ADDR"
    stop_broker
    [[ ! -s $TMP/log ]]
    start_broker -v -w 2 -- "$VICTIM" accept "$ADDR"
    stop_broker
    log_has "worker 1"
    log_has "listens on $ADDR"
}

@test "the control socket is NAME.sock in XDG_RUNTIME_DIR/sshim, mode 0600, and the name that of the command" {
    mkdir "$TMP/xdg"
    export XDG_RUNTIME_DIR=$TMP/xdg
    CONTROL=$TMP/xdg/sshim/victim.sock
    exec 5<>"$TMP/xdg/unused"
    "$SSHIM" run --ready-fd 5 -w 1 -- "$VICTIM" accept "$ADDR" 3>&- 2>"$TMP/log" &
    BROKER=$!
    exec 5>&-
    wait_until test -S "$CONTROL"
    wait_until workers_ready 1
    [[ $(stat -c %a "$CONTROL") == 600 ]]
    [[ $(stat -c %a "$TMP/xdg/sshim") == 700 ]]
    # the one that runs is found without an option
    [[ $("$SSHIM" status --json | jq -r .name) == victim ]]
    "$SSHIM" stop
    wait_for_broker
    [[ $STATUS == 0 ]]
}

@test "status and stop without a running instance say so" {
    mkdir "$TMP/xdg"
    XDG_RUNTIME_DIR=$TMP/xdg refuses 3 "no instance is running in $TMP/xdg/sshim;" status
    XDG_RUNTIME_DIR=$TMP/xdg refuses 3 "no instance 'shop-$PORT' is running in $TMP/xdg/sshim" status --name "shop-$PORT"
    XDG_RUNTIME_DIR=$TMP/xdg refuses 1 "no instance is running" stop
    refuses 3 "$CONTROL" status --control "$CONTROL"
    [[ $(XDG_RUNTIME_DIR=$TMP/xdg "$SSHIM" list) == "no instance is running" ]]
    [[ $(XDG_RUNTIME_DIR=$TMP/xdg "$SSHIM" list --json) == "[]" ]]
}

@test "an instance in a folder of its own, as that of a unit, is found and listed" {
    mkdir -p "$TMP/xdg/sshim/web" "$TMP/xdg/sshim/empty"
    export XDG_RUNTIME_DIR=$TMP/xdg
    CONTROL=$TMP/xdg/sshim/web/control.sock
    start_broker -w 1 --name web -- "$VICTIM" accept "$ADDR"
    [[ $("$SSHIM" list --json | jq -r '.[] | .name + " " + .control') == "web $CONTROL" ]]
    "$SSHIM" status --name web
    "$SSHIM" status
    start_other "$SSHIM" run --name two -w 0
    wait_until "$SSHIM" status --name two
    run "$SSHIM" status
    [[ $status != 0 && $output == *"2 instances are running:"*" web"* ]]
    "$SSHIM" stop --name two
    "$SSHIM" stop --name web
    wait_for_broker
}

@test "with two running instances status lists them" {
    mkdir -p "$TMP/xdg/sshim"
    export XDG_RUNTIME_DIR=$TMP/xdg
    CONTROL=$TMP/xdg/sshim/one.sock
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    start_other "$SSHIM" run --name two -w 0
    wait_until "$SSHIM" status --name two
    run "$SSHIM" status
    [[ $status != 0 ]]
    [[ $output == *one* && $output == *two* && $output == *--name* ]]
    run "$SSHIM" stop
    [[ $status != 0 ]]
    [[ $("$SSHIM" list | awk '{ print $1, $3 }' | sort | paste -sd,) == "NAME STATE,two ready,victim ready" ]]
    [[ $("$SSHIM" list --name two --json | jq -r '.[].name') == two ]]
    [[ $("$SSHIM" list --json | jq -r '[.[] | .name + " " + .control] | sort | join(",")') == "two $TMP/xdg/sshim/two.sock,victim $CONTROL" ]]
    "$SSHIM" stop --name two
    stop_broker
}
