# --on-event: the operator's command is run for events, with their facts, and is never in the way.
load helpers

# The command appends what it was told of.
hook_script() {
    cat >"$TMP/hook" <<END
#!/bin/sh
echo "\$SSHIM_EVENT worker=\$SSHIM_EVENT_WORKER cause=\$SSHIM_EVENT_CAUSE signal=\$SSHIM_EVENT_SIGNAL instance=\$SSHIM_EVENT_INSTANCE control=\$SSHIM_EVENT_CONTROL" >>"$TMP/hooked"
END
    chmod 755 "$TMP/hook"
}

hooked() { # TEXT
    grep -q -- "$1" "$TMP/hooked" 2>/dev/null
}

@test "--on-event is run for a start, an end and a restart, with the facts in its environment" {
    hook_script
    start_broker -q -w 1 --on-event "$TMP/hook" -- "$VICTIM" accept "$ADDR"
    wait_until hooked '^ready '
    kill -KILL "$(worker_pid 0)"
    wait_until hooked "^worker_exit worker=0 cause=signal signal=KILL instance=victim control=$CONTROL\$"
    "$SSHIM" restart --control "$CONTROL"
    wait_until hooked '^restart_done '
    "$SSHIM" upgrade --control "$CONTROL"
    wait_until hooked '^resume '
    stop_broker
    [[ $(tail -n 1 "$TMP/hooked") == "stop "* ]]
    [[ $(head -n 1 "$TMP/hooked") == "start "* ]]
    [[ ! -s $TMP/log ]]
}

@test "--on-event: signals as for workers, no descriptor of the broker, output to standard error" {
    start_broker -q -w 1 --on-event "grep Sig /proc/self/status; ls -l /proc/self/fd; [ \$SSHIM_EVENT != ready ] || touch $TMP/done" \
        -- "$VICTIM" accept "$ADDR"
    wait_until test -e "$TMP/done"
    grep -q '^SigBlk:[[:space:]]*0*$' "$TMP/log"
    ! grep -E 'socket:|eventpoll|memfd:|signalfd|pidfd' "$TMP/log" || false
    ! grep -q SigBlk "$TMP/out" || false
    stop_broker
}

@test "--on-event: a command that fails is told of once, one that hangs is in nobody's way and is killed at the end" {
    start_broker -w 1 --on-event 'exit 7' -- "$VICTIM" accept "$ADDR"
    wait_until log_has "the command of --on-event exited with status 7; further failures are not logged"
    "$SSHIM" restart --control "$CONTROL"
    stop_broker
    [[ $(grep -c 'on-event' "$TMP/log") == 1 ]]
    start_broker -w 1 --on-event "echo \$\$ >>$TMP/pids; exec sleep 600" -- "$VICTIM" accept "$ADDR"
    probe 3
    "$SSHIM" restart --control "$CONTROL"
    [[ $(wc -l <"$TMP/pids") == 1 ]]
    DEADLINE_S=60 stop_broker
    [[ $(wc -l <"$TMP/pids") == 2 ]]
    log_has "was killed, since it took longer"
}
