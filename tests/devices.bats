# One address on two devices, in two network namespaces, by two protocols: two listeners each, as in the kernel.
load helpers

# A network namespace of the test's own with the devices va (10.99.1.1) and vb (10.99.2.1); their other ends are in
# two more. It lives as long as the processes that hold it.
setup_devices() {
    [[ $EUID == 0 ]] || skip "needs root"
    start_other unshare -n sleep 600
    NS=$OTHER
    start_other unshare -n sleep 600
    NS_A=$OTHER
    start_other unshare -n sleep 600
    NS_B=$OTHER
    local own
    own=$(readlink /proc/self/ns/net)
    for pid in "$NS" "$NS_A" "$NS_B"; do
        wait_until has_left "$own" "$pid"
        nsenter -n -t "$pid" ip link set lo up
    done
    pair va "$NS_A" 1
    pair vb "$NS_B" 2
    printf '#!/bin/sh\nexec nsenter -n -t %s "%s" "$@"\n' "$NS" "$SSHIM" >"$TMP/sshim"
    chmod +x "$TMP/sshim"
    SSHIM=$TMP/sshim
}

has_left() { # NAMESPACE PID
    [[ $(readlink "/proc/$2/ns/net") != "$1" ]]
}

pair() { # DEVICE PEER-PID NUMBER
    nsenter -n -t "$NS" ip link add "$1" type veth peer name peer netns "$2"
    nsenter -n -t "$NS" ip addr add "10.99.$3.1/24" dev "$1"
    nsenter -n -t "$NS" ip link set "$1" up
    nsenter -n -t "$2" ip addr add "10.99.$3.2/24" dev peer
    nsenter -n -t "$2" ip link set peer up
}

# Listens on port $1 of every address, once for each device named; answers with the device.
device_server() {
    cat >"$TMP/server.py" <<'PY'
import select, socket, sys
listeners = {}
for device in sys.argv[2:]:
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode() + b"\0")
    s.bind(("0.0.0.0", int(sys.argv[1])))
    s.listen(64)
    s.setblocking(False)
    listeners[s] = device
while True:
    for s in select.select(list(listeners), [], [])[0]:
        try:
            c, _ = s.accept()
        except BlockingIOError:
            continue
        c.recv(100)
        c.sendall(listeners[s].encode() + b"\n")
        c.close()
PY
}

ask() { # PID-OF-NAMESPACE HOST PORT
    nsenter -n -t "$1" python3 - "$2" "$3" <<'PY'
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
s.sendall(b"which\n")
print(s.recv(100).decode().strip())
PY
}

@test "one port on two devices is two listeners: each client reaches its own" {
    setup_devices
    device_server
    local i copies
    for copies in 1 3; do
        start_broker -w "$copies" -- python3 "$TMP/server.py" "$PORT" va vb
        for i in 1 2; do
            [[ $(ask "$NS_A" 10.99.1.1 "$PORT") == va ]]
            [[ $(ask "$NS_B" 10.99.2.1 "$PORT") == vb ]]
        done
        [[ $(status_of '[.listeners[].address] | sort | join(" ")') == "0.0.0.0%va:$PORT 0.0.0.0%vb:$PORT" ]]
        stop_broker
    done
}

@test "--unshared with a device leaves the other one shared" {
    setup_devices
    device_server
    start_broker -w 1 --unshared "0.0.0.0%vb:$PORT" -- python3 "$TMP/server.py" "$PORT" va vb
    [[ $(ask "$NS_A" 10.99.1.1 "$PORT") == va ]]
    [[ $(ask "$NS_B" 10.99.2.1 "$PORT") == vb ]]
    [[ $(status_of '[.listeners[].address] | join(" ")') == "0.0.0.0%va:$PORT" ]]
    stop_broker
}

@test "the zone of a link-local address is told, and survives an upgrade of the broker" {
    setup_devices
    nsenter -n -t "$NS" ip addr add fe80::99/64 dev va nodad
    cat >"$TMP/server.py" <<'PY'
import socket, sys
s = socket.socket(socket.AF_INET6)
s.bind(("fe80::99", int(sys.argv[1]), 0, socket.if_nametoindex("va")))
s.listen(64)
while True:
    c, _ = s.accept()
    c.close()
PY
    start_broker -w 2 -- python3 "$TMP/server.py" "$PORT"
    status_is ".listeners[0].address == \"[fe80::99%va]:$PORT\""
    "$SSHIM" upgrade --control "$CONTROL"
    status_is ".listeners[0].address == \"[fe80::99%va]:$PORT\" and (.listeners | length) == 1"
    stop_broker
}

@test "one port in two network namespaces is two listeners: clients reach the copy in theirs" {
    setup_devices
    printf '#!/bin/sh\n[ $SSHIM_WORKER_ID = 0 ] && exec nsenter -n -t %s "$@"\nexec nsenter -n -t %s "$@"\n' "$NS_A" "$NS_B" \
        >"$TMP/in-namespace"
    chmod +x "$TMP/in-namespace"
    start_broker -w 2 -- "$TMP/in-namespace" "$VICTIM" accept "0.0.0.0:$PORT"
    local i
    for i in 1 2; do
        [[ $(ask "$NS_A" 127.0.0.1 "$PORT") == *slot=0* ]]
        [[ $(ask "$NS_B" 127.0.0.1 "$PORT") == *slot=1* ]]
    done
    [[ $(status_of '[.listeners[].address | select(test("^0.0.0.0:[0-9]+@netns:[0-9]+$"))] | unique | length') == 2 ]]
    stop_broker
}
