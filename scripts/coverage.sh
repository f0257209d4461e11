#!/usr/bin/env bash
# coverage.sh FOLDER BATS-FILE... - runs unit tests and bats files with the build in FOLDER, which counts, and reports.
#
# Prints what failed, the files of which least is run, and the totals of broker, shim and proto. Exit code 1: less than
# the goal, 90 % of the lines of the broker and 85 % of the library's. JOBS (2) files run at a time. LINES_OF=FILE lists a file
# with the count of each line.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

folder=$1
shift
goal_broker=90
goal_shim=85

run_tests() { # BATS-FILE...
    local test
    rm -rf "$folder/raw" "$folder/tap"
    mkdir -p "$folder/raw" "$folder/tap"
    chmod 1777 "$folder/raw" # some tests run as another user
    for test in "$folder"/unit/test_* "$folder"/unit/shim/test_*; do
        [[ $test == *.d || ! -x $test ]] || "$test" >"$folder/tap/${test##*/}" 2>&1
    done
    # shellcheck disable=SC2016
    printf '%s\n' "$@" | BUILD=$folder out=$folder/tap xargs -P "${JOBS:-2}" -I{} bash -c \
        'timeout 1800 bats --tap "$1" >"$out/$(basename "$1" .bats)" 2>&1 3>&-' _ {}
    grep -h '^not ok' "$folder"/tap/* | sed 's/^/failed: /'
}

objects() {
    local object
    printf '%s\n' "$folder/sshim"
    for object in "$folder/libsshim.so.debug" "$folder"/unit/test_* "$folder"/unit/shim/test_*; do
        [[ $object == *.d ]] || printf '%s\n' -object "$object"
    done
}

# FOLDER FILE LINES COVERED BRANCHES COVERED
list_files() {
    # shellcheck disable=SC2046 # words of a list
    llvm-cov export -summary-only -instr-profile "$folder/all.profdata" $(objects) |
        jq -r --arg root "$PWD/" '.data[0].files[] | (.filename | ltrimstr($root)) as $name | select($name | test("^(broker|shim|proto)/")) |
            [($name | split("/")[0]), $name, .summary.lines.count, .summary.lines.covered,
             .summary.branches.count, .summary.branches.covered] | @tsv'
}

if [[ -z ${LINES_OF:-} ]]; then
    run_tests "$@"
    llvm-profdata merge -o "$folder/all.profdata" "$folder"/raw/*.profraw || exit 1
else
    # shellcheck disable=SC2046 # words of a list
    llvm-cov show -instr-profile "$folder/all.profdata" $(objects) "$LINES_OF"
    exit
fi

list_files >"$folder/files.tsv"
echo "least covered:"
awk -F '\t' '$3 > 0 { printf "  %5.1f %% of %4d lines  %s\n", 100 * $4 / $3, $3, $2 }' "$folder/files.tsv" | sort -n | head -n 12
awk -F '\t' -v broker="$goal_broker" -v shim="$goal_shim" '
    { lines[$1] += $3; run[$1] += $4; branches[$1] += $5; taken[$1] += $6 }
    END {
        goal["broker"] = broker
        goal["shim"] = shim
        for (side in lines) {
            rate = 100 * run[side] / lines[side]
            printf "%s: %.1f %% of %d lines, %.1f %% of %d branches\n", side, rate, lines[side],
                100 * taken[side] / branches[side], branches[side]
            if (rate < goal[side]) {
                printf "%s: the goal is %d %% of lines\n", side, goal[side]
                missed = 1
            }
        }
        exit missed
    }' "$folder/files.tsv"
