# Options of run in the environment and in a file: which one wins, what is refused, and that they outlive the broker.
load helpers

# conf TEXT...: the file, a line each.
conf() {
    printf '%s\n' "$@" >"$TMP/web.conf"
}

dry_run() { # OPTIONS: what would be run
    "$SSHIM" run --dry-run "$@" >"$TMP/told"
    cat "$TMP/told"
}

told() { # LINE of --dry-run
    grep -qxF -- "$1" "$TMP/told"
}

# refused TEXT [OPTIONS]: exit 2 and one line that has the text.
refused() {
    local text=$1
    shift
    run timeout 30 "$SSHIM" run "$@" 3>&- </dev/null
    echo "exit code $status, said: $output"
    [[ $status == 2 && $(wc -l <<<"$output") == 1 && $output == "sshim: "$text ]]
}

refused_file() { # REASON LINE...: in the last line
    local reason=$1
    shift
    conf "$@"
    refused "$TMP/web.conf:$#: $reason" --config "$TMP/web.conf"
}

@test "the command line wins over the environment, the environment over the file" {
    conf 'workers = 2' 'settle = 3' 'stop-timeout = 4' 'command = true'
    export SSHIM_WORKERS=5 SSHIM_SETTLE=6
    dry_run -w 7 --config "$TMP/web.conf"
    told "workers = 7  # command line"
    told "settle = 6  # SSHIM_SETTLE"
    told "stop-timeout = 4  # $TMP/web.conf:3"
    told "start-timeout = 60  # default"
    told "command = true  # $TMP/web.conf:4"
    told "# user is not given"
    dry_run --config "$TMP/web.conf" -- false 'a b'
    told "command = false 'a b'  # command line"
}

@test "an option that repeats: all of the source that wins, and none of the others" {
    conf 'share = 1' 'share = 2' 'unshared = 3' 'unshared = 4'
    SSHIM_SHARE=5 dry_run --config "$TMP/web.conf" --unshared 6 --unshared 7 -- true
    [[ $(grep -E '^(un)?shared? ' "$TMP/told") == "share = 5  # SSHIM_SHARE
unshared = 6  # command line
unshared = 7  # command line" ]]
}

@test "options without a value are yes or no" {
    conf 'quiet = yes' 'verbose = no'
    SSHIM_VERBOSE=yes dry_run --config "$TMP/web.conf" -- true
    told "quiet = yes  # $TMP/web.conf:1"
    told "verbose = yes  # SSHIM_VERBOSE"
    SSHIM_QUIET=no dry_run --config "$TMP/web.conf" -- true
    told "quiet = no  # SSHIM_QUIET"
    SSHIM_QUIET=1 refused "invalid value '1' for SSHIM_QUIET: expected yes or no; see sshim --help" -- true
}

@test "SSHIM_CONFIG names the file; a variable that is empty says nothing" {
    conf 'workers = 2'
    SSHIM_CONFIG=$TMP/web.conf SSHIM_WORKERS='' SSHIM_SETTLE='' dry_run -- true
    told "workers = 2  # $TMP/web.conf:1"
    told "settle = 1  # default"
}

@test "what --dry-run prints is a file that says the same" {
    conf '# ours' 'workers = 2' 'share = @a' "command = sh -c 'echo \"\$1\" # x' '' it\\'s \"a b\""
    dry_run --config "$TMP/web.conf" --settle 4
    sed 's/  # .*//' "$TMP/told" >"$TMP/first"
    cp "$TMP/told" "$TMP/web.conf"
    dry_run --config "$TMP/web.conf"
    sed 's/  # .*//' "$TMP/told" | diff "$TMP/first" -
}

@test "--dry-run starts nothing and makes no control socket" {
    conf "command = touch $TMP/started"
    dry_run --config "$TMP/web.conf" --control "$CONTROL"
    [[ ! -e $TMP/started && ! -e $CONTROL ]]
}

@test "each fault of a file is told with its line, and what to do" {
    refused_file "unknown name 'wokers'; sshim --help tells the options of run" '# x' '' 'wokers = 3'
    refused_file "unknown name 'config'; *" 'config = x'
    refused_file "invalid value 'x' for workers: expected 0 to 4096, 'auto', or LOW..HIGH with LOW from 1 to HIGH; see sshim --help" 'settle = 1' 'workers = x'
    refused_file "invalid value 'maybe' for quiet: expected yes or no; see sshim --help" 'quiet = maybe'
    refused_file "'workers' is no line 'name = value'" 'workers'
    refused_file "'workers' has no value; give one, or '#' in front" 'workers = # 3'
    refused_file "'workers' was given in line 1; leave one of them out" 'workers = 1' 'workers = 2'
    refused_file "'command' was given above; leave one of them out" 'command = a' 'command = b'
    refused_file "a quote is not closed, or a backslash ends the line" "command = a 'b"
    refused_file "there is no command" 'command = # x'
}

@test "each fault of the environment is told with its variable" {
    SSHIM_WORKERS=x refused "invalid value 'x' for SSHIM_WORKERS: expected 0 to 4096, 'auto', or LOW..HIGH with LOW from 1 to HIGH; see sshim --help" -- true
    SSHIM_HANDOFF=x refused "invalid value 'x' for SSHIM_HANDOFF: expected auto, broker, direct; see sshim --help" -- true
    SSHIM_CONFIG=$TMP/none refused "cannot read $TMP/none: No such file or directory; *" -- true
}

@test "what is no file of options is refused" {
    refused "cannot read $TMP: it is not a regular file; *" --config "$TMP"
    mkfifo "$TMP/fifo"
    refused "cannot read $TMP/fifo: it is not a regular file; *" --config "$TMP/fifo"
    printf 'workers = 1\0' >"$TMP/web.conf"
    refused "cannot use $TMP/web.conf: it has a NUL byte; *" --config "$TMP/web.conf"
    head -c 65536 /dev/zero | tr '\0' '#' >"$TMP/web.conf"
    refused "cannot use $TMP/web.conf: it has 64 KiB or more; *" --config "$TMP/web.conf"
    conf '# no command'
    refused "there is no command to run; *" --config "$TMP/web.conf"
}

@test "a file that others may write to is not for root" {
    needs_root
    local reason="others than root may write to it, and it tells what root runs; chown root $TMP/web.conf; chmod go-w $TMP/web.conf"
    conf 'command = true'
    for mode in 664 646; do
        chmod "$mode" "$TMP/web.conf"
        refused "cannot use $TMP/web.conf: $reason" --config "$TMP/web.conf"
    done
    chmod 644 "$TMP/web.conf"
    chown 65534 "$TMP/web.conf"
    refused "cannot use $TMP/web.conf: $reason" --config "$TMP/web.conf"
    become_nobody
    dry_run --config "$TMP/web.conf"
}

@test "sshim run web takes web.conf, the user's before the system's, and its name" {
    export HOME=$TMP/home
    unset XDG_CONFIG_HOME
    mkdir -p "$TMP/home/.config/sshim" "$TMP/xdg/sshim" "$TMP/etc/sshim"
    conf 'workers = 2' 'command = true'
    cp "$TMP/web.conf" "$TMP/home/.config/sshim"
    dry_run web
    told "workers = 2  # $TMP/home/.config/sshim/web.conf:1"
    told "name = web  # as $TMP/home/.config/sshim/web.conf is called"
    dry_run --name shop web
    told "name = shop  # command line"
    cp "$TMP/web.conf" "$TMP/xdg/sshim"
    XDG_CONFIG_HOME=$TMP/xdg dry_run web
    told "workers = 2  # $TMP/xdg/sshim/web.conf:1"
    [[ $(id -u) == 0 ]] || return 0
    # /etc is another one in a namespace of its own
    cp "$TMP/web.conf" "$TMP/etc/sshim/api.conf"
    unshare -m sh -c "mount --bind $TMP/etc /etc && exec $SSHIM run --dry-run api" >"$TMP/told"
    told "workers = 2  # /etc/sshim/api.conf:1"
}

@test "a command is no file: with arguments, behind --, with a slash, without such a file" {
    export HOME=$TMP/home
    mkdir -p "$TMP/home/.config/sshim"
    printf 'command = false\n' >"$TMP/home/.config/sshim/true.conf"
    dry_run true
    told "command = false  # $TMP/home/.config/sshim/true.conf:1"
    dry_run true x
    told "command = true x  # command line"
    dry_run -- true
    told "command = true  # command line"
    dry_run /bin/true
    told "command = /bin/true  # command line"
    dry_run sleep
    told "command = sleep  # command line"
}

# Two workers; the file is wrong afterwards.
serve() {
    conf "command = '$VICTIM' accept $ADDR" 'stop-timeout = 7' 'workers = 2'
    SSHIM_SHARE=$PORT SSHIM_SETTLE=0 start_broker --config "$TMP/web.conf"
    conf 'wokers = 9' 'command ='
    probe 10
}

# The values are the ones from before, and new copies run the same command.
still_serves() {
    local pid
    pid=$(worker_pid 0)
    tr '\0' '\n' <"/proc/$(status_of .pid)/cmdline" >"$TMP/cmdline"
    grep -qx -- '--stop-timeout=7' "$TMP/cmdline"
    grep -qx -- "--share=$PORT" "$TMP/cmdline"
    kill -KILL "$pid"
    another() { [[ $(worker_pid 0) != "$pid" ]] && workers_ready 2; }
    wait_until another
    probe 10
}

@test "a broker is run by a file and the environment; its workers see none of the variables" {
    serve
    status_is '.name == "web" and (.workers | length == 2)'
    tr '\0' '\n' <"/proc/$(worker_pid 0)/environ" >"$TMP/environ"
    grep -q '^SSHIM_TOKEN=' "$TMP/environ"
    ! grep -E '^SSHIM_(SHARE|SETTLE)=' "$TMP/environ" || false
    stop_broker
    [[ $STATUS == 0 ]]
}

@test "an upgrade keeps the values, whatever the file says by then" {
    serve
    timeout 60 "$SSHIM" upgrade --control "$CONTROL"
    still_serves
    stop_broker
}

@test "a crash of the broker keeps the values, whatever the file says by then" {
    serve
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until status_is '.state == "ready"'
    still_serves
    timeout 60 "$SSHIM" stop --control "$CONTROL"
}
