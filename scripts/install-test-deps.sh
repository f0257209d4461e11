#!/bin/sh
# install-test-deps.sh - installs what the tests need and is missing (Debian). Needs root for that.
set -eu

missing=
need() { # COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}

need cc gcc
need clang clang
need clang-format clang-format
need bats bats
need curl curl
need jq jq
need strace strace
need shellcheck shellcheck
need python3 python3
need setpriv util-linux
need ps procps
need nm binutils
need groff groff-base
need musl-gcc musl-tools
# not a command: found where it is installed
ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || missing="$missing libfaketime"

[ -n "$missing" ] || exit 0
echo "installing:$missing"
# Another installation may hold the lock: wait for it, but not for ever.
# shellcheck disable=SC2086
apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends $missing >/dev/null ||
    { apt-get update >/dev/null && apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends $missing >/dev/null; } ||
    { echo "cannot install$missing; install them by hand" >&2; exit 1; }
