#!/usr/bin/env bash
# servers.sh [NAME...] - tries every recipe in $SERVERS (default tests/servers), or those named, two at a time; installs their
# Debian packages first. One line per server, then "N passed, N failed, N skipped".
# A skip is a package that could not be installed; the line names it. Exit 0 when nothing failed.
set -u

here=$(cd "$(dirname "$0")" && pwd)
servers=${SERVERS:-$here/../tests/servers}
results=$(mktemp -d "${TMPDIR:-/tmp}/servers.XXXXXX") || exit 2
trap 'rm -rf "$results"' EXIT

# What a recipe needs, as words for deps.sh.
needs_of() { sed -n '2s/.*debian: *\([^ ]*\).*/\1/p' "$1" | tr + '\n' | sed 's/^/debian:/'; }

# shellcheck disable=SC2046 # a list
missing_packages() { # RECIPE
    "$here/deps.sh" --missing $(needs_of "$1")
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
# shellcheck disable=SC2046 # a list
"$here/deps.sh" servers $(for recipe in $recipes; do needs_of "$recipe"; done | sort -u)

runnable=
for recipe in $recipes; do
    missing=$(missing_packages "$recipe" | xargs)
    if [ -z "$missing" ]; then
        runnable="$runnable $recipe"
    else
        printf '%-24s - skip  package is not installed: %s\n' "$(basename "$recipe" .sh)" "$missing" | tee -a "$results/lines"
    fi
done
# shellcheck disable=SC2086 # a list
printf '%s\n' $runnable | xargs -r -n 1 -P "${JOBS:-2}" "$here/server-try.sh" | tee -a "$results/lines"

count() { awk -v verdict="$1" '$3 == verdict' "$results/lines" | wc -l; }
echo "$(count pass) passed, $(count FAIL) failed, $(count skip) skipped"
[ "$(count FAIL)" = 0 ]
