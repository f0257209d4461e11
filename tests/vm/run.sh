#!/usr/bin/env bash
# run.sh ARCH - builds sshim for ARCH by the cross compiler, boots a Debian of that kind in qemu and runs guest.sh there.
#
# ARCH-PAGES (arm64-16k, ppc64el-64k) takes the kernel with pages of that size. The file system is Debian's packages, unpacked and not
# configured, all in memory; it is kept in $VM for the next run. The last line is the guest's verdict; its words are in $VM/ARCH.log.
# $ONLY, an expression, chooses by names. $SUITE (trixie), $VM_SECONDS (6000): after so long the machine is switched off. It takes 2 GiB.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
sources=$(cd "$here/../.." && pwd)
name=${1:?usage: run.sh ARCH}
arch=${name%-*k}
suite=${SUITE:-trixie}
folder=${VM:-${TMPDIR:-/tmp}/sshim-vm-$(id -u)}
root=$folder/$suite-$name

case $arch in
amd64) machine=x86_64-linux-gnu console=ttyS0 kernel=amd64 qemu=(qemu-system-x86_64 -M q35 -cpu max) ;;
arm64) machine=aarch64-linux-gnu console=ttyAMA0 kernel=arm64 qemu=(qemu-system-aarch64 -M virt -cpu "max,pauth-impdef=on") ;;
s390x) machine=s390x-linux-gnu console=ttysclp0 kernel=s390x qemu=(qemu-system-s390x -M s390-ccw-virtio) ;;
ppc64el) machine=powerpc64le-linux-gnu console=hvc0 kernel=powerpc64le qemu=(qemu-system-ppc64 -M pseries -cpu power9) ;;
*) echo "run.sh: unknown machine $name; known are amd64, arm64, s390x, ppc64el" >&2 && exit 2 ;;
esac
pages=${name#"$arch"}

# What guest.sh and its servers need.
packages=(bash coreutils dash findutils gawk grep iproute2 jq mount procps sed util-linux
    busybox curl lighttpd netcat-openbsd nginx-light perl-base python3 redis-server socat tcl)

make_root() {
    mkdir -p "$folder"
    rm -rf "$root.new"
    # a mirror may be older than its own lists allow
    mmdebstrap --variant=extract --architectures="$arch" --aptopt='Acquire::Check-Valid-Until "false"' \
        --include="$(IFS=, && echo "${packages[*]}"),linux-image-$kernel$pages" "$suite" "$root.new" "${MIRROR:-http://deb.debian.org/debian}" >"$root.log" 2>&1 ||
        { tail -n 5 "$root.log" >&2 && exit 1; }
    mv "$root.new" "$root"
    # the kernel needs no module to run out of memory
    (cd "$root" && find . -path ./dev -prune -o -path ./usr/lib/modules -prune -o -path ./boot -prune -o \
        -path './usr/share/doc*' -prune -o -path ./usr/share/locale -prune -o -print | cpio -o -H newc -R 0:0 --quiet) >"$root.cpio"
}

build() {
    make -C "$sources" -s -j"${JOBS:-2}" BUILD="build/cross/$machine" CC="$machine-gcc" STRIP="$machine-strip" all unit-build
}

# The sources and what was built, as an archive behind that of the file system.
pack() { # FILE
    local tree
    tree=$(mktemp -d "$folder/tree.XXXXXX")
    mkdir -p "$tree/src/sshim/build/unit/shim"
    cp "$here/guest.sh" "$tree/init"
    (cd "$sources" && git ls-files -z scripts tests | tar -c --null -T - -f -) | tar -x -C "$tree/src/sshim"
    local built
    (cd "$sources/build/cross/$machine" && find sshim libsshim.so unit -type f -executable) | while read -r built; do
        "$machine-strip" -o "$tree/src/sshim/build/$built" "$sources/build/cross/$machine/$built"
    done
    (cd "$tree" && find . -print | cpio -o -H newc -R 0:0 --quiet) >"$1"
    rm -rf "$tree"
}

"$sources/scripts/deps.sh" "vm-$arch"
[ -e "$root.cpio" ] || make_root
build
trap 'rm -f "$folder/$name.initrd"' EXIT
pack "$folder/$name.initrd.tail"
cat "$root.cpio" "$folder/$name.initrd.tail" >"$folder/$name.initrd"
rm "$folder/$name.initrd.tail"
timeout "${VM_SECONDS:-6000}" "${qemu[@]}" -m 2048 -smp 2 -nodefaults -nographic -serial mon:stdio -no-reboot \
    -kernel "$(ls "$root"/boot/vmlinu*)" -initrd "$folder/$name.initrd" \
    -append "console=$console panic=-1 quiet only=${ONLY:-}" </dev/null |
    sed -u 's/\r//g' | tee "$folder/$name.log" | grep -a --line-buffered -E '^(vm|   |#|not ok)' || true
tail -n 20 "$folder/$name.log" | grep -aqE '^vm: [0-9]+ passed, 0 failed$'
