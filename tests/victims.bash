# victims.bash - start a victim under `sshim run`, ask it, stop it, look for what is left.

ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
BUILD=${BUILD:-build}
[[ $BUILD == /* ]] || BUILD=$ROOT/$BUILD
SSHIM=$BUILD/sshim
PROGS=$BUILD/tests/progs

# Seconds that a loaded machine may need for anything that normally takes milliseconds.
WAIT_MAX_S=${WAIT_MAX_S:-30}

# A port that nobody uses, below those that the kernel gives to clients.
free_port() {
    python3 - <<'PY'
import random, socket
while True:
    port = random.randrange(10000, 32000)
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            continue
    print(port)
    break
PY
}

# wait_for COMMAND...: until it succeeds.
wait_for() {
    local end=$((SECONDS + WAIT_MAX_S))
    until "$@"; do
        if ((SECONDS > end)); then
            echo "gave up waiting for: $*"
            return 1
        fi
        sleep 0.02
    done
}

# Options of sshim run for every test, to try them all in another --handoff.
VICTIM_OPTIONS=${VICTIM_OPTIONS:-}

# for_channels WHY: what follows is no promise of --handoff direct.
for_channels() {
    [[ $VICTIM_OPTIONS != *"--handoff direct"* ]] || skip "--handoff direct: $1"
}

victims_setup() {
    unset SSHIM_BROKER SSHIM_RENDEZVOUS SSHIM_LIB SSHIM_WORKER_ID SSHIM_TOKEN SSHIM_SHARE_ALL LD_PRELOAD
    T=$(mktemp -d "${TMPDIR:-/tmp}/sv.XXXXXX")
    PORT=$(free_port)
    CONTROL=$T/b.sock
    BROKER=
}

is_ready_or_dead() {
    [ -s "$T/ready" ] || ! kill -0 "$BROKER" 2>/dev/null
}

# start COPIES [OPTION...] -- COMMAND...: sshim run, until every copy is ready.
start() {
    local copies=$1
    shift
    : >"$T/ready" # from the start before
    # shellcheck disable=SC2086 # a list
    "$SSHIM" run -w "$copies" $VICTIM_OPTIONS --control "$CONTROL" --ready-fd 9 "$@" \
        9>"$T/ready" 3>&- >"$T/out" 2>"$T/err" &
    BROKER=$!
    wait_for is_ready_or_dead
    if [ ! -s "$T/ready" ]; then
        cat "$T/err"
        return 1
    fi
}

# Every copy answers, rightly.
probe() {
    python3 "$BATS_TEST_DIRNAME/progs/probe.py" "$@" || { cat "$T/err"; return 1; }
}

# Processes of this test: all of them carry its folder in their environment or arguments.
ours() {
    grep -lasF "SSHIM_BROKER=$CONTROL" /proc/[0-9]*/environ | sed 's,/proc/,,; s,/environ,,' | grep -vx "$$" || true
}

nothing_of_ours() {
    [ -z "$(ours)" ]
}

# A clean stop: exit code 0, nobody complained, but of a slow machine, nothing left.
stop_clean() {
    local code=0
    "$SSHIM" stop --control "$CONTROL"
    wait "$BROKER" || code=$?
    BROKER=
    if [ "$code" -ne 0 ] || grep -vE 'workers are ready|still starting: |command .* from pid' "$T/err" | grep -q .; then
        echo "exit code $code"
        cat "$T/err"
        return 1
    fi
    wait_for nothing_of_ours
    [ ! -e "$CONTROL" ]
}

# The broker and its keeper, or what came after them: stopped before they are killed, or one would revive the other.
victims_teardown() {
    [ -n "$CONTROL" ] || return 0 # an empty name would be everybody's
    # shellcheck disable=SC2046 # lists
    {
        kill -STOP $(pgrep -f -- "--control $CONTROL") || true
        kill -KILL $(pgrep -f -- "--control $CONTROL") || true
        kill -KILL $(ours) || true
    } 2>/dev/null
    [ -z "$BROKER" ] || wait "$BROKER" 2>/dev/null || true
    rm -rf "$T"
}

# victim PROGRAM MODE [ARGUMENT]: three copies, every one serves, a clean stop.
victim() {
    local program=$1 mode=$2
    shift 2
    start 3 -- "$PROGS/$program" "$mode" "$PORT" "$@"
    probe "$PORT" "${SERVING:-3}"
    stop_clean
}
