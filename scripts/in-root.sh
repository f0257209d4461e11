#!/usr/bin/env bash
# in-root.sh ROOT COMMAND... - runs COMMAND in a copy of these sources at ROOT/src/sshim, with ROOT as its whole file system.
#
# ROOT is a folder with a Debian in it. If it is not there, it is made from $SUITE (trixie, unstable ...) by mmdebstrap, with what
# make check needs. $AS=USER: COMMAND is an ordinary user's, who is made if missing. The copy keeps its build/ between calls, since
# compilers differ between roots: give each root a folder of its own. Needs root. What COMMAND has started ends with it.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)

give_up() { echo "in-root: $*" >&2; exit 2; }

[ $# -ge 2 ] || give_up "usage: in-root.sh ROOT COMMAND..."
[ "$(id -u)" = 0 ] || give_up "only root can change its root; run this as root"
root=$(realpath -m "$1")
shift
[ "$root" != / ] || give_up "/ is no other root"

make_root() {
    [ -n "${SUITE:-}" ] || give_up "$root is not there; set SUITE to the Debian suite that it shall hold"
    local packages
    rm -rf "$root.new"
    packages=$(sed 's/#.*//' "$here/scripts/deps.txt" | awk '/ check/ { print $2 }' | sort -u | paste -sd,)
    command -v mmdebstrap >/dev/null || give_up "there is no mmdebstrap; install the package of that name"
    # a mirror may be older than its own lists allow
    mmdebstrap --mode=root --variant=minbase --aptopt='Acquire::Check-Valid-Until "false"' --include="$packages,gcc,make,libc6-dev,ca-certificates" "$SUITE" "$root.new" "${MIRROR:-http://deb.debian.org/debian}"
    mv "$root.new" "$root"
}

# Only what belongs to the sources; files that are gone here go there too. A file that has changed gets the time of now: it may have
# been written here before the last build there began.
copy_sources() {
    local new=$root/src/sshim.new file
    rm -rf "$new"
    mkdir -p "$root/src/sshim" "$new"
    (cd "$here" && git ls-files -z | tar -c --null -T - -f - --ignore-failed-read) | tar -x --touch --no-same-owner -C "$new"
    (cd "$new" && find . -type f -print0) | while IFS= read -r -d '' file; do
        ! cmp -s "$new/$file" "$root/src/sshim/$file" || touch -r "$root/src/sshim/$file" "$new/$file"
    done
    find "$root/src/sshim" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} +
    find "$new" -mindepth 1 -maxdepth 1 -exec mv -t "$root/src/sshim" {} +
    rmdir "$new"
    chroot "$root" chown -R root: /src/sshim # it may have been another user's
    # what lists the sources asks git
    chroot "$root" git -C /src/sshim init -q
    chroot "$root" git -C /src/sshim add -A
}

[ -d "$root" ] || make_root
copy_sources
as=()
if [ -n "${AS:-}" ]; then
    chroot "$root" id -u "$AS" >/dev/null 2>&1 || chroot "$root" useradd -m "$AS"
    chroot "$root" chown -R "$AS:" /src/sshim
    as=(runuser -u "$AS" --)
fi

mkdir -p "$root/run/systemd" # as where systemd runs: systemd-analyze of an ordinary user cannot make it

# The shell is process 1 there, so it stays to reap what loses its parent.
# shellcheck disable=SC2016 # for the shell in there
exec unshare --mount --pid --fork --kill-child bash -euc '
    root=$1 && shift
    mount --make-rprivate /
    mount --rbind /dev "$root/dev"
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm" 2>/dev/null || true
    chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" ${JOBS:+JOBS="$JOBS"} \
        setsid -w sh -c "cd /src/sshim && exec \"\$@\"" sh "$@" &
    wait $!' bash "$root" "${as[@]}" "$@"
