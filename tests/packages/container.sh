#!/bin/bash
# container.sh - builds the image of scripts/container/Containerfile from a small Debian, and runs it with the arguments of
# compose.yaml and of kubernetes.yaml: as the first process, with a read-only root and a tmpfs, as an unprivileged user
# without HOME and /run. As root. BUILD/packages/root.tar is kept.
#
# podman builds. A container of podman needs cgroups that not every machine has; the image's root runs in namespaces here.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
files=$here/../../scripts/container
work=$(mktemp -d /tmp/sshim-container.XXXXXX)
pod=(podman --root "$work/images" --runroot "$work/run" --storage-driver vfs --cgroup-manager cgroupfs)
first=

clean_up() {
    stop_hard
    "${pod[@]}" image unmount --all >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap clean_up EXIT

fail() {
    echo "not ok: $*" >&2
    cat "$work/log" >&2 2>/dev/null || true
    exit 1
}

build_image() {
    "$here/root.sh" "$BUILD/packages/root.tar"
    "${pod[@]}" import "$BUILD/packages/root.tar" localhost/debian >/dev/null 2>&1
    "${pod[@]}" build --isolation chroot --build-arg BASE=localhost/debian -t sshim -f "$files/Containerfile" "$files/../.." \
        >"$work/log" 2>&1 || fail "the image cannot be built"
    echo "ok built"
}

# The arguments of the one container of a file, one a line.
arguments_of() { # FILE
    python3 - "$1" <<'PYTHON'
import sys
import yaml
first = list(yaml.safe_load_all(open(sys.argv[1], encoding="utf-8")))[0]
print("\n".join(first["services"]["web"]["command"] if "services" in first else
                first["spec"]["template"]["spec"]["containers"][0]["args"]))
PYTHON
}

# What podman run --read-only --tmpfs /tmp --cap-drop all --security-opt no-new-privileges does.
start() { # ARGUMENT...
    local entry root
    root=$("${pod[@]}" image mount localhost/sshim)
    mapfile -t entry < <("${pod[@]}" image inspect localhost/sshim --format '{{range .Config.Entrypoint}}{{println .}}{{end}}' | sed '/^$/d')
    # shellcheck disable=SC2016 # expanded inside
    unshare --mount --pid --net --ipc --uts --fork --kill-child sh -c '
        root=$1
        shift
        ip link set lo up
        mount --bind "$root" "$root"
        mount -t proc proc "$root/proc"
        mount -t tmpfs tmpfs "$root/tmp"
        mount -t tmpfs tmpfs "$root/dev"
        for device in null zero full random urandom; do touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
        mount -o remount,bind,ro "$root"
        exec chroot "$root" setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \
            env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
    ' sh "$root" "${entry[@]}" "$@" >"$work/log" 2>&1 &
    unshare_pid=$!
    for _ in {1..300}; do
        first=$(pgrep -P "$unshare_pid" -x sshim || true)
        [ -z "$first" ] || break
        sleep 0.1
    done
    [ -n "$first" ] || fail "it does not start"
}

stop_hard() {
    [ -z "$first" ] || kill -KILL "$first" 2>/dev/null || true
}

inside() { # COMMAND...
    nsenter --target "$first" --mount --pid --net --root --wdns=/ setpriv --reuid 65534 --regid 65534 --clear-groups env -i PATH=/usr/bin:/bin "$@"
}

answer_of() { # PORT PATH
    inside python3 -c 'import sys, urllib.request
print(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}{sys.argv[2]}", timeout=20).status)' "$@"
}

has_no_zombie() {
    ! inside sh -c 'cat /proc/[0-9]*/stat' | grep -q ') Z '
}

await() { # COMMAND...
    for _ in {1..300}; do
        ! "$@" || return 0
        sleep 0.1
    done
    fail "not within 30 s: $*"
}

try() { # FILE
    local code=0 arguments
    mapfile -t arguments < <(arguments_of "$1")
    start "${arguments[@]}"
    inside sshim status --wait ready --timeout 60 >/dev/null || fail "the copies do not become ready"
    [ "$(inside cat /proc/1/comm)" = sshim ] || fail "sshim is not the first process"
    ! inside touch /probe 2>/dev/null || fail "the root can be written to"
    [ "$(answer_of 8080 /)" = 200 ] || fail "the server does not answer"
    [ "$(answer_of 9180 /healthz) $(answer_of 9180 /readyz)" = "200 200" ] || fail "the probes do not answer"
    inside sshim restart >/dev/null || fail "sshim restart ends with $?"
    inside sh -c 'sh -c "sleep 0.2 & exec sleep 0.1" &' # an orphan that ends
    sleep 0.5
    await has_no_zombie
    kill -TERM "$first"
    wait "$unshare_pid" || code=$?
    first=
    [ "$code" = 0 ] || fail "after TERM it ends with $code"
    echo "ok $(basename "$1"): first process, served, probed, restarted, reaped, stopped"
}

build_image
try "$files/compose.yaml"
try "$files/kubernetes.yaml"
