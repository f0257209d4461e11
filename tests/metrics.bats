# --metrics: what HTTP clients see, and that the process which serves them has no rights and can be lost.
load helpers

setup_file() {
    [[ -x ${BUILD:-build}/sshim-metrics ]] || skip "sshim-metrics is not built: install libmicrohttpd-dev and libjansson-dev"
}

start_with_metrics() { # OPTIONS and COMMAND of run
    WEB=$HOST:$("$PROBE" --free-port)
    start_broker --metrics "$WEB" "$@"
}

page() { # PATH
    curl -sS --max-time "$DEADLINE_S" "http://$WEB$1"
}

code() { # PATH [OPTIONS of curl]
    curl -s -o /dev/null -w '%{http_code}' --max-time "$DEADLINE_S" "http://$WEB$1" "${@:2}"
}

metric() { # NAME{LABELS}
    page /metrics | awk -v name="$1" '$1 == name { print $2 }'
}

metric_is() { # NAME{LABELS} VALUE
    [[ $(metric "$1") == "$2" ]]
}

server_pid() { # of the process that serves HTTP
    pgrep -P "$(status_of .pid)" -x sshim-metrics
}

@test "the metrics are valid, and say what status says" {
    start_with_metrics -w 2 --name 'we-b' -- "$VICTIM" accept "$ADDR"
    probe 6
    page /metrics >"$TMP/metrics"
    promtool check metrics <"$TMP/metrics"
    page /status.json | jq -e '.name == "we-b" and .serving and (.workers | length == 2)'
    metric_is "sshim_connections_total{listener=\"$ADDR\"}" 6
    metric_is 'sshim_state{state="ready"}' 1
    metric_is "sshim_closed_total{listener=\"$ADDR\",reason=\"full\"}" 0
    [[ $(page /metrics | awk '/^sshim_worker_accepted_total/ { sum += $2 } END { print sum }') == 6 ]]
    kill -KILL "$(worker_pid 1)"
    wait_until metric_is 'sshim_worker_ends_total{worker="1",cause="signal"}' 1
    wait_until workers_ready 2
    metric_is 'sshim_worker_restarts_total{worker="1"}' 1
    (($(metric 'sshim_worker_resident_memory_bytes{worker="0"}') > 100000))
    (($(metric process_resident_memory_bytes) > 100000))
    # a label once, also while an old worker drains beside the new one
    "$SSHIM" restart --control "$CONTROL" 3>&- &
    local i
    for i in 1 2 3 4 5; do page /metrics | promtool check metrics; done
    wait $!
    metric_is sshim_last_restart_success 1
    stop_broker
}

# bucket LE: how many had waited so long at most
bucket() {
    metric "sshim_handover_wait_seconds_bucket{listener=\"$ADDR\",le=\"$1\"}"
}

@test "how long connections wait for their hand-over is a histogram" {
    local i pids=() count
    start_with_metrics -w 1 --handoff broker -- "$VICTIM" accept "$ADDR"
    kill -STOP "$(worker_pid 0)"
    wait_until status_is '.workers[0].state == "stuck"'
    for i in 1 2 3; do "$PROBE" -n 1 "$ADDR" >"$TMP/answers.$i" & pids+=($!); done
    wait_until status_is '.listeners[0].queued == 3'
    sleep 0.6
    kill -CONT "$(worker_pid 0)"
    wait "${pids[@]}"
    wait_until status_is '.listeners[0].taken == 3'
    page /metrics | promtool check metrics
    count=$(metric "sshim_handover_wait_seconds_count{listener=\"$ADDR\"}")
    ((count == $(status_of '.listeners[0].handed') && $(bucket +Inf) == count))
    (($(bucket 10) - $(bucket 0.5) >= 3)) # an offer that is taken back counts each time
    awk -v sum="$(metric "sshim_handover_wait_seconds_sum{listener=\"$ADDR\"}")" 'BEGIN { exit !(sum > 1.8) }'
    [[ $(status_of '.listeners[0].handover_waits | (.limits_ms | length) + 1 == (.counts | length)') == true ]]
    # another broker does not measure it, and says so
    stop_broker
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    status_is '.listeners[0].handover_waits == null'
    ! "$SSHIM" metrics --control "$CONTROL" | grep handover || false
    stop_broker
}

@test "the pages: their codes and types, and no others" {
    start_with_metrics -w 1 -- "$VICTIM" accept "$ADDR"
    [[ $(code /healthz) == 200 && $(code /readyz) == 200 && $(code /metrics -I) == 200 ]]
    [[ $(code /) == 404 && $(code /metrics/..) == 404 && $(code /metrics -d x=1) == 405 ]]
    [[ $(page /) == *"/metrics, /healthz, /readyz and /status.json"* ]]
    [[ $(curl -sI "http://$WEB/metrics") == *"text/plain; version=0.0.4"* ]]
    [[ $(curl -sI "http://$WEB/status.json") == *"application/json"* ]]
    "$SSHIM" drain 0 --control "$CONTROL"
    [[ $(code /readyz) == 503 && $(code /healthz) == 200 ]]
    "$SSHIM" resume 0 --control "$CONTROL"
    [[ $(code /readyz) == 200 ]]
    stop_broker
}

@test "no client is sent to a pool that is starting" {
    mkfifo "$TMP/gate"
    WEB=$HOST:$("$PROBE" --free-port)
    # shellcheck disable=SC2016
    launch_broker --metrics "$WEB" -w 2 -- sh -c 'test "$SSHIM_WORKER_ID" = 0 || read -r _ <"$0"; exec "$1" accept "$2"' "$TMP/gate" "$VICTIM" "$ADDR"
    serves() { [[ $(code /healthz) == 200 ]]; }
    wait_until serves
    wait_until metric_is sshim_workers_ready 1
    [[ $(code /readyz) == 503 ]]
    echo go >"$TMP/gate"
    ready() { [[ $(code /readyz) == 200 ]]; }
    wait_until ready
    stop_broker
}

@test "the process has another user, no capability, no environment and no other descriptor" {
    needs_root
    start_with_metrics -w 1 -- "$VICTIM" accept "$ADDR"
    [[ $(code /healthz) == 200 ]]
    local pid
    pid=$(server_pid)
    grep -qE "^Uid:([[:space:]]65534){4}$" "/proc/$pid/status"
    [[ $(grep -cE '^(Cap(Inh|Prm|Eff|Bnd|Amb):[[:space:]]0{16}|NoNewPrivs:[[:space:]]1)$' "/proc/$pid/status") == 6 ]]
    [[ $(tr -d '\0' <"/proc/$pid/environ" | wc -c) == 0 ]]
    [[ $(find "/proc/$pid/fd" -type l -lname 'socket:*' | wc -l) == 2 ]]
    # what it may ask of the broker is a look
    [[ $(find "/proc/$pid/fd" -lname '*journal*' | wc -l) == 0 ]]
    stop_broker
}

@test "requests wait while the process, or the broker, is replaced" {
    start_with_metrics -w 1 -- "$VICTIM" accept "$ADDR"
    local pid round
    for round in 1 2 3; do
        [[ $(code /healthz) == 200 ]]
        pid=$(server_pid)
        kill -KILL "$pid"
        [[ $(code /healthz) == 200 ]]
        [[ $(server_pid) != "$pid" ]]
    done
    log_has "sshim-metrics was ended by signal 9; starting it again"
    "$SSHIM" upgrade --control "$CONTROL"
    [[ $(code /readyz) == 200 ]]
    kill -KILL "$BROKER"
    [[ $(code /readyz) == 200 ]]
    [[ $(pgrep -fc "^sshim-metrics") -ge 1 ]]
    probe 2
    "$SSHIM" stop --control "$CONTROL"
    wait_for_broker
}

@test "a client that says nothing, and one that says nonsense, keep nobody waiting" {
    start_with_metrics -w 1 -- "$VICTIM" accept "$ADDR"
    start_other python3 -uc 'import os, socket, sys, time
host, port = sys.argv[1].split(":")
silent = [socket.create_connection((host, int(port))) for i in range(40)]
silent[0].setblocking(False)
try:
    silent[0].send(os.urandom(100000))
except OSError:
    pass
print("connected"); time.sleep(100)' "$WEB"
    wait_until grep -q connected "$TMP/out.other"
    [[ $(code /metrics) == 200 ]]
    probe 2
    stop_broker
}

@test "clients that take all connections of --metrics hold up neither the broker nor the copies, and others for 15 s" {
    start_with_metrics -w 1 -- "$VICTIM" accept "$ADDR"
    start_other python3 -uc 'import socket, sys, time
host, port = sys.argv[1].split(":")
silent = [socket.create_connection((host, int(port))) for i in range(64)]
for one in silent[:32]:
    one.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
print("connected"); time.sleep(100)' "$WEB"
    wait_until grep -q connected "$TMP/out.other"
    local before after begun=$SECONDS
    before=$(awk '{ print $14 + $15 }' "/proc/$BROKER/stat")
    [[ $(curl -s -o /dev/null -w '%{http_code}' --max-time 3 "http://$WEB/healthz") == 000 ]] # all are taken
    probe 20
    timeout 5 "$SSHIM" status --control "$CONTROL" >/dev/null
    [[ $(code /metrics) == 200 ]] # when the silent ones were closed
    ((SECONDS - begun <= 25))
    after=$(awk '{ print $14 + $15 }' "/proc/$BROKER/stat")
    echo "the broker used $((after - before)) ticks"
    ((after - before < 100))
    stop_broker
}

@test "at the path of a socket: a left-over one is replaced, and it is removed at the end" {
    python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$TMP/web.sock"
    start_broker --metrics "$TMP/web.sock" -w 1 -- "$VICTIM" accept "$ADDR"
    [[ $(curl -sS --unix-socket "$TMP/web.sock" http://x/readyz) == ready ]]
    stop_broker
    [[ ! -e $TMP/web.sock ]]
}

@test "what keeps --metrics from being served is said, once, and nothing starts" {
    run timeout 30 "$SSHIM" run --control "$CONTROL" --metrics 300.1.1.1:80 -- "$VICTIM" accept "$ADDR"
    [[ $status == 2 && $output == *"invalid value '300.1.1.1:80' for --metrics"* ]]
    start_other python3 -uc 'import socket, sys, time
s = socket.create_server((sys.argv[1], int(sys.argv[2]))); print("listens"); time.sleep(100)' "$HOST" "$PORT"
    wait_until grep -q listens "$TMP/out.other"
    run timeout 30 "$SSHIM" run --control "$CONTROL" --metrics "$ADDR" -- "$VICTIM" accept "$ADDR"
    [[ $status == 4 && $output == "sshim: cannot listen on $ADDR for --metrics: Address already in use; give another address" ]]
    share_build # without sshim-metrics
    run timeout 30 "$SSHIM" run --control "$CONTROL" --metrics "$ADDR" -- "$VICTIM" accept "$ADDR"
    [[ $status == 4 && $output == *"sshim-metrics was not built; install libmicrohttpd-dev and libjansson-dev"* ]]
}

@test "the alert rules are valid, fire when they should and else do not" {
    cp "$ROOT/observe/alerts.yml" "$ROOT/tests/alerts_test.yml" "$TMP"
    cd "$TMP"
    promtool check rules alerts.yml
    promtool test rules alerts_test.yml
    # each metric that they name is one
    local name
    for name in $(grep -ohE '\b(sshim|process)_[a-z_]+' alerts.yml | sort -u); do
        echo "$name"
        grep -qF "\"$name\"" "$ROOT/observe/exposition.c"
    done
}

@test "sshim metrics prints the same once, without --metrics" {
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    probe 5
    "$SSHIM" metrics --control "$CONTROL" >"$TMP/once"
    promtool check metrics <"$TMP/once"
    grep -qxF "sshim_connections_total{listener=\"$ADDR\"} 5" "$TMP/once"
    grep -q '^sshim_workers' "$TMP/once"
    run "$SSHIM" metrics --control "$TMP/none"
    ((status == 3))
    [[ $output == *"the broker at $TMP/none does not answer: No such file or directory" ]]
    ! "$SSHIM" metrics --control "$CONTROL" >/dev/full || false
}

# ask_prometheus PATH [OPTIONS of curl]: a document of its HTTP API
ask_prometheus() {
    curl -sS --max-time "$DEADLINE_S" "http://$PROMETHEUS/api/v1/$1" "${@:2}"
}

prometheus_has() { # PATH, JQ FILTER that must give true
    [[ $(ask_prometheus "$1" | jq "$2") == true ]]
}

prometheus_says() { # QUERY VALUE
    [[ $(ask_prometheus query --get --data-urlencode "query=$1" | jq -r '.data.result[].value[1]') == "$2" ]]
}

alert_fires() { # NAME
    prometheus_has alerts "[.data.alerts[] | select(.labels.alertname == \"$1\" and .state == \"firing\")] | length == 1"
}

alert_is_silent() { # NAME
    ! alert_fires "$1"
}

@test "a real Prometheus scrapes every series without an error, and an alert comes and goes in it" {
    start_with_metrics -w 2 --handoff broker --name web -- "$VICTIM" accept "$ADDR"
    PROMETHEUS=$HOST:$("$PROBE" --free-port)
    sed 's/for: .*/for: 0s/' "$ROOT/observe/alerts.yml" >"$TMP/alerts.yml" # at once
    cat >"$TMP/prometheus.yml" <<END
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [alerts.yml]
scrape_configs: [{job_name: sshim, static_configs: [{targets: ["$WEB"]}]}]
END
    start_other prometheus --config.file="$TMP/prometheus.yml" --storage.tsdb.path="$TMP/series" --web.listen-address="$PROMETHEUS"
    wait_until prometheus_says 'up{job="sshim"}' 1
    probe 5
    wait_until prometheus_says sshim_connections_total 5
    wait_until prometheus_says 'histogram_quantile(0.5, sshim_handover_wait_seconds_bucket) <= bool 10' 1
    wait_until prometheus_has targets '.data.activeTargets | length == 1 and all(.health == "up" and .lastError == "")'
    wait_until prometheus_has rules '[.data.groups[].rules[]] | length > 5 and all(.health == "ok")'
    # what it has stored is what the page has
    page /metrics | sed -nE 's/^([a-z_]+)[ {].*/\1/p' | sort -u >"$TMP/names"
    ask_prometheus label/__name__/values | jq -r '.data[]' | grep -vE '^(up|scrape_.*|ALERTS.*)$' | sort >"$TMP/stored"
    diff "$TMP/names" "$TMP/stored"
    curl -sS --max-time "$DEADLINE_S" "http://$PROMETHEUS/metrics" >"$TMP/own"
    awk '/^prometheus_target_scrapes_(sample_(duplicate|out_of)|exceeded)/ { count++; sum += $2 } END { exit !(count >= 3 && sum == 0) }' "$TMP/own"
    alert_is_silent SshimNotServing
    "$SSHIM" drain 0 --control "$CONTROL"
    "$SSHIM" drain 1 --control "$CONTROL"
    wait_until alert_fires SshimNotServing
    "$SSHIM" resume 0 --control "$CONTROL"
    "$SSHIM" resume 1 --control "$CONTROL"
    wait_until alert_is_silent SshimNotServing
    stop_broker
    wait_until prometheus_says 'up{job="sshim"}' 0
}
