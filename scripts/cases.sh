#!/usr/bin/env bash
# cases.sh [NAME...] - runs programs that failed for users (tests/cases/*.bash, or those named), one after the other.
#
# Each runs natively first and then under sshim: exit code 0 as natively, 1 not, 77 this machine cannot tell. One line a
# case, below it what was wrong; the last line is "N passed, N failed, N skipped". Exit code 0: none failed.
set -u
cd "$(dirname "$0")/.." || exit

export SSHIM=${SSHIM:-$PWD/build/sshim}
passed=0
failed=0
skipped=0

names=("$@")
((${#names[@]})) || mapfile -t names < <(basename -s .bash tests/cases/*.bash)
for name in "${names[@]}"; do
    said=$(timeout 300 bash "tests/cases/$name.bash" 2>&1 </dev/null)
    case $? in
    0)
        echo "pass  $name"
        passed=$((passed + 1))
        ;;
    77)
        echo "skip  $name: ${said##*$'\n'}"
        skipped=$((skipped + 1))
        ;;
    *)
        echo "FAIL  $name: $(sed -n 2p "tests/cases/$name.bash" | cut -c3-)"
        printf '%s\n' "$said" | sed 's/^/      /'
        failed=$((failed + 1))
        ;;
    esac
done
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0 && passed > 0))
