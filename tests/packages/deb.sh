#!/bin/bash
# deb.sh - builds the package, which lintian looks at, and tries it in a small Debian: installed, used, upgraded under load,
# purged. As root; the namespaces, the root and everything in it are gone afterwards. BUILD/packages/root.tar is kept.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${BUILD:?}" && pwd)
root=$(mktemp -d /tmp/sshim-deb.XXXXXX)
trap 'rm -rf "$root"' EXIT

# The same files by another version: what an upgrade replaces are inodes.
make_next() { # DEB NEW-DEB
    local tree=$root/next
    dpkg-deb -R "$1" "$tree"
    sed -i 's/^Version: .*/&+next/' "$tree/DEBIAN/control"
    dpkg-deb --root-owner-group -b "$tree" "$2" >/dev/null
    rm -r "$tree"
}

deb=$(cd "$here/../.." && scripts/deb.sh | tee /dev/stderr | sed -n 's/^built //p')
[[ -f $deb ]]
"$here/root.sh" "$build/packages/root.tar"
tar -x -C "$root" --exclude='./dev/*' -f "$build/packages/root.tar"
mkdir "$root/try"
cp "$deb" "$root/try/first.deb"
make_next "$deb" "$root/try/next.deb"
cp "$build/bench/load" "$build/bench/server" "$here/deb-inside.sh" "$root/try/"

# A network namespace of its own: the package looks for brokers there.
# shellcheck disable=SC2016 # expanded inside
unshare --mount --pid --net --fork --kill-child sh -c '
    ip link set lo up
    mount -t proc proc "$1/proc"
    mount -t tmpfs tmpfs "$1/dev"
    for device in null zero full random urandom tty; do touch "$1/dev/$device"; mount --bind "/dev/$device" "$1/dev/$device"; done
    ln -s /proc/self/fd "$1/dev/fd"
    mkdir "$1/dev/shm"
    exec chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin /bin/sh /try/deb-inside.sh
' sh "$root"
