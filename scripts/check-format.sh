#!/bin/sh
# check-format.sh - every C file is as clang-format would write it.
set -u

failed=0
for file in $(git ls-files '*.c' '*.h'); do
    if ! clang-format --dry-run --Werror "$file" >/dev/null 2>&1; then
        echo "$file is not formatted: clang-format -i $file"
        failed=1
    fi
done
exit $failed
