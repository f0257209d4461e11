# How much it may cost: memory, wake-ups, size, file descriptors. Measured in the plain build only.
load helpers

rss_kib() { # PID
    awk '/^VmRSS:/ { print $2 }' "/proc/$1/status"
}

wakeups() { # PID
    awk '/ctxt_switches/ { sum += $2 } END { print sum }' "/proc/$1/status"
}

# Private memory, and what is resident of the library itself, which all copies share.
private_kib() { # PID
    awk '/^Private_/ { sum += $2 } END { print sum }' "/proc/$1/smaps_rollup"
}

library_kib() { # PID
    awk '/^[0-9a-f]+-/ { ours = /libsshim\.so/ } ours && /^Rss:/ { sum += $2 } END { print sum + 0 }' "/proc/$1/smaps"
}

@test "the library is smaller than 100 KiB" {
    [[ $(stat -c %s "$LIB") -lt 102400 ]]
}

@test "the library imports what scripts/check-imports.sh allows, and the check can fail" {
    "$ROOT/scripts/check-imports.sh" "$LIB"
    printf '#include <stdlib.h>\nvoid *x(void); void *x(void) { return malloc(8); }\n' >"$TMP/bad.c"
    cc -shared -fPIC -o "$TMP/bad.so" "$TMP/bad.c"
    run "$ROOT/scripts/check-imports.sh" "$TMP/bad.so"
    [[ $status == 1 ]]
    [[ $output == *malloc* ]]
}

@test "the broker has at most 4 MiB resident with 4 workers, and does not grow with connections" {
    start_broker -w 4 -- "$VICTIM" epoll "$ADDR"
    probe 500
    local before after
    before=$(rss_kib "$BROKER")
    echo "before: $before KiB"
    [[ $before -le 4096 ]]
    probe 3000
    after=$(rss_kib "$BROKER")
    echo "after 3000 connections: $after KiB"
    ((after - before <= 64))
    stop_broker
}

@test "the broker has at most 1.5 MiB with 64 workers, beside the files of the C library" {
    start_broker -w 64 -- "$VICTIM" epoll "$ADDR"
    probe 500
    local kib
    kib=$(awk '/^[0-9a-f]+-/ { theirs = /\/(libc|ld-[a-z]+)[^\/]*\.so/ } /^Rss:/ && !theirs { sum += $2 } END { print sum }' "/proc/$BROKER/smaps")
    echo "the broker: $kib KiB"
    ((kib <= 1536))
    stop_broker
}

@test "an idle broker does not wake up, before the first connection and after many" {
    start_broker -w 4 --stuck-warn 1 -- "$VICTIM" epoll "$ADDR" # the watchdog looks every 250 ms as long as somebody is busy
    local round before
    for round in 1 2; do
        # timers that the start and the traffic have begun run out within a second
        wait_until is_quiet
        before=$(wakeups "$BROKER")
        sleep 3 # the measured time, not a wait for anything
        [[ $(wakeups "$BROKER") == "$before" ]]
        timeout 60 "$PROBE" -n 200 "$ADDR" >/dev/null 3>&- &
        probe 200
        wait $!
    done
    stop_broker
}

is_quiet() {
    local before
    before=$(wakeups "$BROKER")
    sleep 1.2
    [[ $(wakeups "$BROKER") == "$before" ]]
}

@test "idle workers do not wake up either" {
    start_broker -w 2 -- "$VICTIM" epoll "$ADDR"
    probe 20
    local pid before
    for pid in "$(worker_pid 0)" "$(worker_pid 1)"; do
        before=$(wakeups "$pid")
        sleep 1 # the measured time
        [[ $(wakeups "$pid") == "$before" ]]
    done
    stop_broker
}

@test "the library costs a worker less than 200 KiB, of which 64 are not its shared text" {
    local other pid cost
    other=$HOST:$("$PROBE" --free-port)
    start_other env -u SSHIM_BROKER "$VICTIM" epoll --hold "$other"
    wait_until probe 1 "$other"
    probe 100 "$other"
    start_broker -w 2 -- "$VICTIM" epoll --hold "$ADDR"
    probe 200
    pid=$(worker_pid 0)
    cost=$(($(private_kib "$pid") + $(library_kib "$pid") - $(private_kib "$OTHER")))
    echo "worker: $(private_kib "$pid") KiB private, $(library_kib "$pid") of the library; natively $(private_kib "$OTHER")"
    ((cost < 200))
    # beyond the library's text, which all copies share
    ((cost - $(library_kib "$pid") <= 64))
    stop_broker
}

# The broker and its workers with a limit of 1024 files.
start_limited() {
    local tool=$SSHIM
    printf '#!/bin/sh\nexec prlimit --nofile=1024:1024 "%s" "$@"\n' "$tool" >"$TMP/sshim"
    chmod +x "$TMP/sshim"
    SSHIM=$TMP/sshim start_broker "$@"
}

hold_3600() {
    "$PROBE" -n 3600 --hold "$ADDR" >"$TMP/answers" 3>&- 8>&- </dev/null &
    STARTED+=($!)
    wait_until grep -qx held "$TMP/answers"
    [[ $(grep -c ' ok$' "$TMP/answers") == 3600 ]]
    wait_until status_is '[.workers[].active] | add == 3600'
    status_of '.workers'
}

@test "4 workers with 900 connections each work at a limit of 1024 files" {
    # what a worker of a loaded machine has not taken within the usual 5 ms would go to another one
    start_limited -w 4 --accept-timeout 10000 -- "$VICTIM" epoll --hold "$ADDR"
    local slot
    for slot in 0 1 2 3; do
        grep -Eq '^Max open files +1024 +1024 ' "/proc/$(worker_pid $slot)/limits"
    done
    hold_3600
    status_is '[.workers[].active] | max - min <= 100'
    # and there is room for more
    probe 20
    kill -KILL "${STARTED[@]}"
    STARTED=()
    wait_until status_is '[.workers[].active] | add == 0'
    probe 20
    stop_broker
}

first_gets_more_than() { # COUNT
    probe 20
    status_is ".workers[0].accepted > $1"
}

@test "a worker whose fd table is nearly full gets nothing while others have room" {
    local before
    start_limited -w 4 --balance first -- "$VICTIM" epoll --hold "$ADDR"
    hold_3600
    status_is '[.workers[].active] | max <= 960'
    kill -KILL "${STARTED[@]}"
    STARTED=()
    wait_until status_is '[.workers[].active] | add == 0'
    # and the first of them is the first again
    before=$(status_of '.workers[0].accepted')
    wait_until first_gets_more_than "$before"
    stop_broker
}

@test "the broker keeps no fd of a connection" {
    start_broker -w 2 -- "$VICTIM" epoll --hold "$ADDR"
    local before
    before=$(broker_fds)
    "$PROBE" -n 100 --hold "$ADDR" >"$TMP/answers" 3>&- 8>&- </dev/null &
    STARTED+=($!)
    wait_until grep -qx held "$TMP/answers"
    wait_until fds_are "$before"
    stop_broker
}

fds_are() {
    [[ $(broker_fds) == "$1" ]]
}

@test "a worker keeps no fd of a connection that it has closed, nor of one it never had" {
    start_broker -w 2 -- "$VICTIM" epoll "$ADDR"
    probe 20
    local pid before
    pid=$(worker_pid 0)
    before=$(find "/proc/$pid/fd" -mindepth 1 | wc -l)
    probe 300
    [[ $(find "/proc/$pid/fd" -mindepth 1 | wc -l) == "$before" ]]
    stop_broker
}

@test "64 workers start, serve and stop" {
    start_broker -w 64 -- "$VICTIM" accept "$ADDR"
    all_answer 64
    stop_broker
    [[ $STATUS == 0 ]]
}

# What the broker, idle with eight workers, has in memory beside files.
dirty_kib() { # OPTION...
    start_broker -w 8 "$@" -- "$VICTIM" epoll "$ADDR" >/dev/null
    all_answer 8 >/dev/null
    awk '/_Dirty:/ && !/Pss/ { sum += $2 } END { print sum }' "/proc/$BROKER/smaps_rollup"
    stop_broker >/dev/null
}

@test "eight workers with a filter cost the broker less than 100 KiB more memory than eight preloaded ones" {
    local preloaded notified
    preloaded=$(dirty_kib --intercept preload)
    notified=$(dirty_kib --intercept seccomp)
    echo "preloaded $preloaded KiB, with a filter $notified KiB"
    ((preloaded > 0 && notified > 0 && notified - preloaded < 100))
}
