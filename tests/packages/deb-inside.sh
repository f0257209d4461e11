#!/bin/sh
# deb-inside.sh - what deb.sh does in the small Debian. Prints a line for each promise, and ends at the first that is broken.
set -eu
cd /try
address=127.0.0.1:8080
load=

fail() {
    echo "not ok: $*" >&2
    cat /try/log /try/dpkg.log >&2 2>/dev/null || true
    exit 1
}

# Everything but what dpkg itself and this script keep.
list_files() {
    find / -xdev \( -path /proc -o -path /dev -o -path /try -o -path /var/lib/dpkg -o -path /var/log -o -path /var/cache \) -prune -o -print | sort
}

# until_so COMMAND...: waits for it, half a minute.
until_so() {
    for _ in $(seq 300); do
        "$@" && return
        sleep 0.1
    done
    fail "not within 30 s: $*"
}

connections() {
    sshim status --name web --json | sed 's/.*"connections":\([0-9]*\).*/\1/'
}

# So many more than there were.
served_more() { # NUMBER BEFORE
    [ "$(connections)" -ge $(($2 + $1)) ]
}

worker_pids() {
    for stat in /proc/[0-9]*/comm; do
        [ "$(cat "$stat" 2>/dev/null)" != server ] || echo "$stat"
    done | sort
}

list_files >before
dpkg -i first.deb >dpkg.log 2>&1 || fail "it cannot be installed"
for file in /usr/bin/sshim /usr/lib/sshim/libsshim.so /usr/lib/sshim/sshim-metrics /usr/lib/sshim/sshim-top /lib/systemd/system/sshim@.service; do
    [ -e "$file" ] || [ -e "/usr$file" ] || fail "$file is not installed"
done
sshim version | grep -q '[0-9]' || fail "sshim version says nothing"
echo "ok installed: $(sshim version | head -n 1)"

sshim run --name web -w 4 -- /try/server blocking $address >log 2>&1 &
sshim status --name web --wait ready --timeout 30 >/dev/null || fail "the workers do not become ready"
broker=$!
workers=$(worker_pids)
./load -d 3 -c 8 $address >out || fail "the load ends with $?"
echo "ok used: $(sed 's/.*"right": *\([0-9]*\).*/\1/' out | tr -d '\n') connections"

before=$(connections)
./load -d 60 -c 8 $address >out & load=$!
until_so served_more 100 "$before"
dpkg -i next.deb >dpkg.log 2>&1 || fail "it cannot be upgraded"
[ "$(readlink "/proc/$broker/exe")" = /usr/bin/sshim ] || fail "the broker still executes the old program: $(readlink "/proc/$broker/exe")"
sshim status --name web >/dev/null || fail "sshim status ends with $?"
[ "$(worker_pids)" = "$workers" ] || fail "other workers after the upgrade"
until_so served_more 100 "$(connections)"
kill -TERM $load
wait $load || fail "the load ends with $?"
counts=$(tr -d ' \n' <out | sed 's/.*"outcomes":{\([^}]*\)}.*/\1/')
echo "$counts" | tr ',' '\n' | grep -vE '^"(right|given_up)":|:0$' && fail "connections were lost: $counts"
echo "ok upgraded under load, same broker and workers: $counts"

sshim stop --name web >/dev/null || fail "sshim stop ends with $?"
wait
dpkg --purge sshim >dpkg.log 2>&1 || fail "it cannot be purged"
list_files >after
diff before after || fail "this is left"
echo "ok purged, nothing is left"
