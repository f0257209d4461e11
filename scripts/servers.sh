#!/usr/bin/env bash
# servers.sh [NAME...] - tries every recipe in $SERVERS (default ../shared/servers beside the project), or those named,
# two at a time; installs their Debian packages first. One line per server, then "N passed, N failed, N skipped".
# A skip is a package that this machine cannot install. Exit 0 when nothing failed.
set -u

here=$(cd "$(dirname "$0")" && pwd)
servers=${SERVERS:-$here/../../shared/servers}
results=$(mktemp -d "${TMPDIR:-/tmp}/servers.XXXXXX") || exit 2
trap 'rm -rf "$results"' EXIT

unnamed_packages="curl netcat-openbsd tcl" # what recipes use without naming it

packages_of() { sed -n '2s/.*debian: *\([^ ]*\).*/\1/p' "$1" | tr + ' '; }

is_installed() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

missing_of() { # PACKAGE...
    local package
    for package; do
        is_installed "$package" || echo "$package"
    done
}

# shellcheck disable=SC2046 # a list
missing_packages() { # RECIPE
    missing_of $(packages_of "$1")
}

install_packages() {
    local sudo=
    [ "$(id -u)" = 0 ] || sudo='sudo -n'
    DEBIAN_FRONTEND=noninteractive $sudo apt-get -o DPkg::Lock::Timeout=300 install -y -q "$@" >"$results/apt.log" 2>&1
}

list_recipes() {
    local name
    if [ $# = 0 ]; then
        ls "$servers"/*.sh
    else
        for name; do echo "$servers/$name.sh"; done
    fi
}

recipes=$(list_recipes "$@")
[ -n "$recipes" ] || { echo "no recipes in $servers; set SERVERS to their folder" >&2; exit 2; }
# One package that does not exist fails them all, so that a second round goes one by one.
# shellcheck disable=SC2086 # lists
all_missing=$({ missing_of $unnamed_packages; for recipe in $recipes; do missing_packages "$recipe"; done; } | sort -u)
# shellcheck disable=SC2086 # a list
[ -z "$all_missing" ] || install_packages $all_missing || for package in $all_missing; do install_packages "$package"; done

runnable=
for recipe in $recipes; do
    missing=$(missing_packages "$recipe" | xargs)
    if [ -z "$missing" ]; then
        runnable="$runnable $recipe"
    else
        printf '%-24s - skip  package cannot be installed here: %s\n' "$(basename "$recipe" .sh)" "$missing" | tee -a "$results/lines"
    fi
done
# shellcheck disable=SC2086 # a list
printf '%s\n' $runnable | xargs -r -n 1 -P "${JOBS:-2}" "$here/server-try.sh" | tee -a "$results/lines"

count() { awk -v verdict="$1" '$3 == verdict' "$results/lines" | wc -l; }
echo "$(count pass) passed, $(count FAIL) failed, $(count skip) skipped"
[ "$(count FAIL)" = 0 ]
