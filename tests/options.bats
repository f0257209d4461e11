# Options of the commands that ask a broker: each has a meaning, or is refused.
load helpers

refuses() { # CODE TEXT ARGUMENTS...: sshim ARGUMENTS ends with CODE and one line on stderr that has TEXT
    local code=$1 text=$2 status=0
    shift 2
    output=$(timeout 30 "$SSHIM" "$@" 2>&1 3>&- </dev/null) || status=$?
    echo "exit code $status, said: $output"
    [[ $status == "$code" ]]
    [[ $(wc -l <<<"$output") == 1 ]]
    [[ $output == "sshim: "*"$text"* ]]
}

takes() { # COMMAND OPTION: whether it has a meaning there
    case "$1 $2" in
    version' '--name | version' '--control) return 1 ;;
    *' '--name | *' '--control) ;;
    status' '--json | list' '--json | version' '--json | status' '--wait) ;;
    restart' '--parallel | restart' '--stop-timeout | drain' '--timeout | status' '--timeout) ;;
    restart' '--no-wait | scale' '--no-wait | drain' '--no-wait) ;;
    events' '--follow | events' '--after | stop' '--now) ;;
    *) return 1 ;;
    esac
}

@test "a command takes the options that it has a use for, and refuses each other one" {
    local commands=(status top list restart "scale 2" "drain 0" "resume 0" "kill 0" "deny 192.0.2.1" "allow 192.0.2.1" reopen events upgrade stop version)
    local options=("--name none-$PORT" "--control $TMP/none" --json "--wait stopped" "--parallel 2" "--stop-timeout 3" "--timeout 3" --no-wait
        --follow "--after 3" --now --run)
    local command option
    "$SSHIM" --help | sed '1,/^options of the other/d' | grep -oE -- ' --[a-z-]+' | grep -vw -- --help | tr -d ' ' | sort -u |
        diff - <(printf '%s\n' "${options[@]%% *}" | sort -u)
    for command in "${commands[@]}"; do
        for option in "${options[@]}"; do
            echo "sshim $command $option"
            if ! takes "${command%% *}" "${option%% *}"; then
                # shellcheck disable=SC2086
                refuses 2 "sshim ${command%% *} takes no ${option%% *}, an option of: " $command $option
                continue
            fi
            [[ $command == version || $option == --name* || $option == --control* ]] || option+=" --control $TMP/none"
            # shellcheck disable=SC2086
            output=$(timeout 30 "$SSHIM" $command $option 2>&1 3>&- </dev/null) || true
            [[ $output != *"takes no"* ]]
        done
    done
}

@test "options that mean nothing together are refused" {
    refuses 2 "give one of them" status --name a --control "$TMP/a"
    refuses 2 "give one of them" list --name a --control "$TMP/a"
    refuses 2 "give --wait as well" status --timeout 3
    refuses 2 "leave --no-wait out" drain 0 --timeout 3 --no-wait
    refuses 2 "leave it out, or the slot" restart 0 --parallel 2
}

@test "which of several instances is meant is asked at once, also by status --wait" {
    local state
    mkdir -p "$TMP/xdg/sshim"
    export XDG_RUNTIME_DIR=$TMP/xdg
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    start_other "$SSHIM" run --name one -w 0
    start_other "$SSHIM" run --name two -w 0
    "$SSHIM" status --name one --wait ready --timeout 60
    "$SSHIM" status --name two --wait ready --timeout 60
    for state in ready stopped; do
        refuses 3 "instances are running:" status --wait "$state"
        [[ $output == *" one"* && $output == *" two"* && $output == *--name* ]]
    done
    [[ $("$SSHIM" list --control "$CONTROL" --json | jq -r '.[].name') == victim ]]
    [[ $("$SSHIM" list --control "$TMP/none") == "no instance is running at $TMP/none" ]]
    [[ $("$SSHIM" list --name three) == "no instance 'three' is running" ]]
    "$SSHIM" stop --name two
    "$SSHIM" stop --name one
    stop_broker
}
