# How the kernel shares the processors between the broker and its workers.
load helpers

LOAD=$BUILD/bench/load
SERVER=$BUILD/bench/server
SCHED_OTHER=0
SCHED_BATCH=3

# scheduling_of PID: its policy, and the slice that it asked for in ns; 0 before Linux 6.12. See sched_getattr(2).
scheduling_of() {
    python3 - "$1" <<'END'
import ctypes, os, struct, sys
numbers = {"x86_64": 315, "i686": 352, "ppc64le": 356, "s390x": 346, "armv7l": 381}
attributes = ctypes.create_string_buffer(48)
libc = ctypes.CDLL(None, use_errno=True)
if libc.syscall(numbers.get(os.uname().machine, 275), int(sys.argv[1]), attributes, 48, 0) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
print(struct.unpack_from("=I", attributes, 4)[0], struct.unpack_from("=Q", attributes, 24)[0])
END
}

has_policy() { # PID POLICY
    [[ $(scheduling_of "$1") == "$2 "* ]]
}

is_patient() { # PID
    [[ $(scheduling_of "$1") =~ ^"$SCHED_BATCH "(20000000|0)$ ]]
}

start_load() {
    "$LOAD" -c 64 -d 60 "$ADDR" >"$TMP/load" 3>&- &
    CLIENTS=$!
}

stop_load() {
    kill "$CLIENTS"
    wait "$CLIENTS"
    [[ $(jq '.outcomes.reset + .outcomes.refused + .outcomes.lost' "$TMP/load") == 0 ]]
}

@test "a busy broker that hands out all connections lets its workers go first, and no worker is changed" {
    start_broker -w 2 --handoff broker --sandbox -- "$SERVER" blocking "$ADDR"
    local pid
    has_policy "$BROKER" "$SCHED_OTHER"
    start_load
    wait_until is_patient "$BROKER"
    pid=$(worker_pid 1)
    has_policy "$pid" "$SCHED_OTHER"
    "$SSHIM" restart 1 --control "$CONTROL"
    [[ $(worker_pid 1) != "$pid" ]]
    has_policy "$(worker_pid 1)" "$SCHED_OTHER"
    stop_load
    wait_until has_policy "$BROKER" "$SCHED_OTHER"
    [[ $(scheduling_of "$BROKER") != *" 20000000" ]]
    stop_broker
}

@test "where workers take past it, a busy broker waits for a free processor, without a longer slice" {
    start_broker -w 2 -- "$SERVER" blocking "$ADDR"
    start_load
    wait_until has_policy "$BROKER" "$SCHED_BATCH"
    [[ $(scheduling_of "$BROKER") != *" 20000000" ]]
    stop_load
    wait_until has_policy "$BROKER" "$SCHED_OTHER"
    stop_broker
}

@test "a policy that an administrator has chosen is kept" {
    cat >"$TMP/batched" <<END
#!/bin/sh
exec chrt --batch 0 "$SSHIM" "\$@"
END
    chmod +x "$TMP/batched"
    SSHIM=$TMP/batched start_broker -w 2 --handoff broker -- "$SERVER" blocking "$ADDR"
    has_policy "$BROKER" "$SCHED_BATCH"
    has_policy "$(worker_pid 0)" "$SCHED_BATCH"
    start_load
    wait_until status_is '[.listeners[].accepted] | add > 5000'
    stop_load
    has_policy "$BROKER" "$SCHED_BATCH"
    stop_broker
}

# leads_with NICE OPTION...: a broker that leads a session, whose autogroup had this nice value before. Prints what it has now.
leads_with() {
    cat >"$TMP/leader" <<END
#!/bin/sh
[ "\$1" = run ] || exec "$BUILD/sshim" "\$@"
exec setsid sh -c 'echo $1 >/proc/self/autogroup; exec "$BUILD/sshim" "\$@"' sh "\$@"
END
    shift
    chmod +x "$TMP/leader"
    SSHIM=$TMP/leader start_broker -w 1 "$@" -- "$VICTIM" accept "$ADDR" >&2
    nice_of "$BROKER"
    [[ $(nice_of "$(worker_pid 0)") == 0 ]]
    SSHIM=$TMP/leader stop_broker >&2
}

nice_of() { # PID: of its autogroup
    awk '{ print $3 }' "/proc/$1/autogroup"
}

@test "a broker that hands out all connections halves the share of its session, if that is its own and nobody has set it" {
    [[ -w /proc/self/autogroup ]] || skip "this kernel has no autogroups (CONFIG_SCHED_AUTOGROUP)"
    local before
    [[ $(leads_with 0 --handoff broker) == 3 ]]
    [[ $(leads_with 0 --hold data) == 3 ]]
    [[ $(leads_with 0 --accept-proxy v1 --proxy-from 127.0.0.0/8) == 3 ]]
    [[ $(leads_with 0) == 0 ]]
    [[ $(leads_with 5 --handoff broker) == 5 ]]
    before=$(nice_of self)
    start_broker -w 1 --handoff broker -- "$VICTIM" accept "$ADDR"
    [[ $(nice_of "$BROKER") == "$before" ]]
    stop_broker
}
