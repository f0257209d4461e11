#!/bin/bash
# guest.sh - the first process of the emulated machine that run.sh boots: runs what is to be tried there, tells the console a line
# each and "vm: N passed, N failed", and switches the machine off.
#
# Debian's packages are unpacked only: what their scripts would have made, and is needed, is made here.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C TMPDIR=/tmp # libc-bin, which has other locales, is not there
# an emulated processor is slow
export SSHIM_START_TIMEOUT=600 READY_TIMEOUT_S=600 START_S=600 PROBE_S=120 PROBES_MIN=9
servers=(py-httpserver py-asyncio tcl socat-fork busybox-httpd nginx-single lighttpd redis perl-iosocket-fork nc-openbsd)
passed=0
failed=0

prepare() {
    mkdir -p /proc /sys /dev /tmp /run /root
    mount -t proc proc /proc
    mount -t sysfs sysfs /sys
    mount -t devtmpfs devtmpfs /dev
    mkdir -p /dev/shm /dev/pts
    mount -t tmpfs tmpfs /dev/shm
    mount -t devpts devpts /dev/pts
    chmod 1777 /tmp
    ln -sf /proc/self/fd /dev/fd
    ip link set lo up
    echo "127.0.0.1 localhost" >/etc/hosts
    printf '%s\n' root:x:0:0::/root:/bin/sh www-data:x:33:33::/var/www:/bin/false nobody:x:65534:65534::/:/bin/false >/etc/passwd
    printf '%s\n' root:x:0: www-data:x:33: nogroup:x:65534: >/etc/group
    ln -sf gawk /usr/bin/awk
    ln -sf "$(command -v nc.openbsd)" /usr/bin/nc # Debian 12 has it in /bin
    mkdir -p /var/log/nginx /var/lib/nginx /var/log/lighttpd
}

# try NAME COMMAND...: one line, and what it said: its results, or all where it failed.
try() {
    local name=$1 began=$SECONDS
    shift
    [[ $name =~ $only ]] || return 0
    if "$@" >/tmp/said 2>&1; then
        echo "vm ok      $name ($((SECONDS - began)) s)"
        sed -n 's/^result: /           /p' /tmp/said
        passed=$((passed + 1))
    else
        echo "vm FAILED  $name ($((SECONDS - began)) s)"
        sed 's/^/# /' /tmp/said | tail -n 40
        failed=$((failed + 1))
    fi
}

# While a pool is replaced, each of 40 connections is answered.
restart() {
    local sshim=build/sshim control=/tmp/restart.sock i
    "$sshim" run -w 2 --control $control -- python3 -m http.server 8080 --bind 127.0.0.1 --directory / >/tmp/pool.log 2>&1 &
    "$sshim" status --wait ready --timeout 300 --control $control >/dev/null || { cat /tmp/pool.log; return 1; }
    "$sshim" restart --control $control &
    local restart=$!
    for i in {1..40}; do
        curl -sf --max-time 60 http://127.0.0.1:8080/etc/hosts | grep -q localhost || { echo "connection $i failed"; return 1; }
    done
    wait $restart || { echo "restart gave $?"; cat /tmp/pool.log; return 1; }
    "$sshim" status --control $control
    "$sshim" stop --control $control
}

prepare
only=$(sed -n 's/.*only=\([^ ]*\).*/\1/p' /proc/cmdline)
cd /src/sshim || exit
echo "vm $(uname -m), Linux $(uname -r), pages of $(python3 -c 'import os; print(os.sysconf("SC_PAGESIZE"))'), $(nproc) processors, $(date +%F)"
for test in build/unit/test_* build/unit/shim/test_*; do
    try "${test#build/}" timeout 1200 "$test"
done
try demo scripts/demo.sh build/sshim
try restart restart
try held tests/vm/held.sh
for server in "${servers[@]}"; do
    try "$server" scripts/server-try.sh "tests/servers/$server.sh"
done
echo "vm: $passed passed, $failed failed"
sync
echo o >/proc/sysrq-trigger
sleep 60
