#!/bin/sh
# deps.sh [--missing] TARGET|debian:PACKAGE... - installs what make targets need and this machine lacks (Debian).
#
# A target is a word of the third column of scripts/deps.txt; debian:PACKAGE is needed as a package, by whatever it has.
# Where nothing is missing it prints nothing and needs no right. Otherwise it prints one line: as root what it installs,
# as another user what to install. Exit code 1: something is still missing.
# --missing only prints the missing packages, one a line.
set -eu

table=${DEPS_TABLE:-$(dirname "$0")/deps.txt}
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

needs_of() { # TARGET
    case $1 in
    debian:*) echo "$1 ${1#debian:}" ;;
    *) sed 's/#.*//' "$table" | awk -v target="$1" '{ for (i = 3; i <= NF; i++) if ($i == target) print $1, $2 }' ;;
    esac
}

is_there() { # COMMAND, PATH OR debian:PACKAGE
    # shellcheck disable=SC2086 # a pattern
    case $1 in
    debian:*) dpkg-query -W -f '${db:Status-Status}' "${1#debian:}" 2>/dev/null | grep -qx installed ;;
    /*) ls -d $1 >/dev/null 2>&1 ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

list_missing() { # TARGET...
    for target; do needs_of "$target"; done | sort -u | while read -r what package; do
        is_there "$what" || echo "$package"
    done | sort -u
}

# A package may bring a service. Debian asks policy-rc.d before it starts one: while we install, the answer is no.
policy=/usr/sbin/policy-rc.d
keep_services_down() {
    [ ! -e $policy ] || return 0
    trap 'rm -f $policy' EXIT
    trap 'exit 1' INT TERM
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
}

# Another installation may hold the lock: wait for it, but not for ever.
apt() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1
}

install_all() { # PACKAGE...
    apt install -y --no-install-recommends "$@" ||
        { apt update && apt install -y --no-install-recommends "$@"; }
}

# One package that does not exist fails them all, so a second round takes each by itself.
install_packages() { # PACKAGE...
    keep_services_down
    install_all "$@" && return
    cp "$log" "$log.first"
    for package; do apt install -y --no-install-recommends "$package" || true; done
    cp "$log.first" "$log"
}

if [ "$1" = --missing ]; then
    shift
    list_missing "$@"
    exit
fi

missing=$(list_missing "$@" | xargs)
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "deps: packages are missing; install them as root: apt-get install $missing" >&2
    exit 1
fi
echo "deps: installing $missing"
work=$(mktemp -d)
log=$work/log
# shellcheck disable=SC2086 # a list
(install_packages $missing)
missing=$(list_missing "$@" | xargs)
[ -z "$missing" ] || { tail -n 5 "$log"; echo "deps: cannot install $missing; make them available and run this again"; } >&2
rm -rf "$work"
[ -z "$missing" ]
