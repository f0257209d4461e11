#!/bin/sh
# check-format.sh - every C file is as clang-format would write it. All files by one call: a start may be slow.
set -u

said=$(git ls-files -z '*.c' '*.h' | xargs -0 clang-format --dry-run --Werror 2>&1) && exit 0
named=$(printf '%s\n' "$said" | sed -nE 's/^([^: ]+):[0-9]+:[0-9]+: error: .*/\1 is not formatted: clang-format -i \1/p' | sort -u)
printf '%s\n' "${named:-$said}"
exit 1
