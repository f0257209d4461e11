#!/usr/bin/env bash
# check.sh - runs every test that must pass. The last line is "N passed, N failed, N skipped".
#
# Output of each part is kept in build/check/PART.tap; what failed is shown. JOBS (as many as processors) compilers run
# at a time, and BATS_JOBS (twice as many) behaviour tests, which wait most of their time.
# A behaviour test that fails is run three times more, alone. If it passes each time it counts as passed and is listed as
# flaky, with its output: a fault to mend.
# check.sh PART...: only these of: build unit tsan fuzz lint bats sanitized
set -uo pipefail
cd "$(dirname "$0")/.." || exit

jobs=${JOBS:-$(nproc)}
bats_jobs=${BATS_JOBS:-$((2 * jobs))}
out=$PWD/build/check
sanitized=build/asan
parts=("$@")
((${#parts[@]})) || parts=(build unit tsan fuzz lint bats sanitized)
rm -rf "$out"
mkdir -p "$out"
began=$SECONDS

# step NAME COMMAND...: one line of TAP by the exit code; what it said when it fails.
step() {
    local name=$1
    shift
    if "$@" >"$out/$name.log" 2>&1; then
        echo "ok 1 $name" >"$out/$name.tap"
    else
        { echo "not ok 1 $name"; sed 's/^/# /' "$out/$name.log" | tail -n 60; } >"$out/$name.tap"
    fi
    cat "$out/$name.tap"
}

# tap NAME COMMAND...: a command that prints TAP; an end without any is a failure.
tap() {
    local name=$1
    shift
    "$@" >"$out/$name.tap" 2>&1 || grep -q '^not ok' "$out/$name.tap" || echo "not ok 1 $name ended early" >>"$out/$name.tap"
    show "$name"
}

# passes_alone NAME FILE LOG: the test of that name, three times.
passes_alone() {
    local pattern run
    # shellcheck disable=SC2001 # a set of characters with both brackets
    pattern=$(sed 's/[][().*+?{}|^$\\]/\\&/g' <<<"$1")
    for run in 1 2 3; do
        timeout 300 bats --tap -f "^$pattern\$" "$2" </dev/null >"$3.run$run" 2>&1 3>&- || return 1
        grep -q '^ok 1' "$3.run$run" || return 1
    done
}

# retry TAP FILE: each test of FILE that failed; what passes becomes "ok ... # flaky" in TAP.
retry() {
    local number name
    while read -r number name; do
        passes_alone "$name" "$2" "$1" || continue
        echo "flaky: $2: $name" | tee -a "$out/flaky.txt"
        sed -n "/^not ok $number /,/^\(not \)\?ok/ { /^#/p }" "$1"
        sed -i "s/^not \(ok $number .*\)/\1 # flaky/" "$1"
    done < <(sed -n 's/^not ok \([0-9]\)/\1/p' "$1")
}

# Many failures are no accident: then none is run again.
retry_all() { # PREFIX FILE...
    local prefix=$1 file tap
    shift
    (($(count '^not ok' "$out/$prefix"-*.tap) <= 5)) || return 0
    for file in "$@"; do
        tap=$out/$prefix-$(basename "$file" .bats).tap
        ! grep -q '^not ok [0-9]' "$tap" || retry "$tap" "$file"
    done
}

# What a TAP file says, in full only where it failed.
show() { # NAME
    local took=
    [[ ! -e $out/$1.seconds ]] || took=", $(<"$out/$1.seconds") s"
    echo "$1: $(count '^ok' "$out/$1.tap") ok, $(count '^not ok' "$out/$1.tap") not ok$took"
    sed -n '/^not ok/,/^ok/ { /^ok/!p }' "$out/$1.tap"
}

count() { # PATTERN FILE...
    local pattern=$1
    shift
    cat "$@" 2>/dev/null | grep -cE "$pattern"
}

part_build() {
    step build make -s -j"$jobs" all test-progs
    step build-clang make -s -j"$jobs" CC=clang BUILD=build/clang CFLAGS='-O2 -g -Werror' all
    step build-gcc-Werror make -s -j"$jobs" BUILD=build/werror CFLAGS='-O2 -g -Werror' all
}

part_unit() {
    step unit-build make -s -j"$jobs" unit-build
    local test
    for test in build/unit/test_* build/unit/shim/test_*; do
        [[ $test == *.d || ! -x $test ]] || tap "unit-${test##*/test_}" "$test"
    done
}

part_tsan() {
    step tsan make -s tsan
}

part_fuzz() {
    step fuzz-replay make -s fuzz-replay
}

part_lint() {
    step imports scripts/check-imports.sh build/libsshim.so
    step shellcheck shellcheck -x -P SCRIPTDIR scripts/*.sh tests/servers/*.sh tests/servers/lib/*.sh tests/cases/*.bash tests/cases/lib/*.bash findings/*.sh .ci/run
    # bats gives and takes variables that shellcheck cannot see
    step shellcheck-tests shellcheck -S warning -e SC2034,SC2119,SC2120 tests/*.bash tests/*.bats
    step format scripts/check-format.sh
}

# run_bats PREFIX BUILD FILE...: each file a process, the long ones first.
run_bats() {
    local prefix=$1 build=$2 file
    shift 2
    export BUILD=$build out
    # shellcheck disable=SC2016
    printf '%s\n' "$@" | xargs -P "$bats_jobs" -I{} bash -c '
        name=$1-$(basename "$2" .bats)
        timeout 900 bats --tap "$2" >"$out/$name.tap" 2>&1 3>&- ||
            grep -q "^not ok" "$out/$name.tap" || echo "not ok 1 $name ended early" >>"$out/$name.tap"
        echo "$SECONDS" >"$out/$name.seconds"' _ "$prefix" {}
    retry_all "$prefix" "$@"
    unset BUILD
    for file in "$@"; do
        show "$prefix-$(basename "$file" .bats)"
    done
}

longest_first() {
    local names=(reliability restart builds intercept hostile_turn leftovers victims_report supervision hold upgrade calls) file
    local first=("${names[@]/#/tests/}")
    first=("${first[@]/%/.bats}")
    for file in "${first[@]}"; do [[ ! -e $file ]] || echo "$file"; done
    for file in tests/*.bats; do [[ " ${first[*]} " == *" $file "* ]] || echo "$file"; done
}

part_bats() {
    local files
    mapfile -t files < <(longest_first)
    run_bats bats build "${files[@]}"
}

# The same tests with the broker under AddressSanitizer and UBSan and the library under UBSan; but for those that measure
# the plain build (limits, syscalls, calls), and those that look at files and hardly run the programs.
part_sanitized() {
    local files
    step sanitized-build make -s -j"$jobs" SAN=address,undefined BUILD="$sanitized" all test-progs unit-build
    local test
    for test in "$sanitized"/unit/test_* "$sanitized"/unit/shim/test_*; do
        [[ $test == *.d || ! -x $test ]] || tap "sanitized-unit-${test##*/test_}" "$test"
    done
    step sanitized-fuzz-replay make -s SAN=address,undefined BUILD="$sanitized" fuzz-replay
    mapfile -t files < <(longest_first |
        grep -vE '/(limits|syscalls|calls|analyze|builds|complete|deps|docs|install|structure|text)\.bats')
    run_bats sanitized "$sanitized" "${files[@]}"
}

# A python3 that is a script around the real one (pyenv) costs more than what most tests do with it.
use_real_python() {
    local real
    real=$(python3 -c 'import sys; print(sys.executable)') || return 0
    mkdir -p "$out/bin"
    ln -sf "$real" "$out/bin/python3"
    PATH=$out/bin:$PATH
}

scripts/deps.sh check || exit 1
use_real_python
for part in "${parts[@]}"; do
    "part_$part"
done

passed=$(grep -hE '^ok' "$out"/*.tap | grep -vciE '# skip')
skipped=$(grep -hE '^ok' "$out"/*.tap | grep -ciE '# skip')
failed=$(count '^not ok' "$out"/*.tap)
if ((failed)); then
    echo "failed:"
    grep -HE '^not ok' "$out"/*.tap | sed "s|^$out/||"
fi
[[ ! -e $out/flaky.txt ]] || { echo "failed once and passed three times alone:"; cat "$out/flaky.txt"; }
echo "took $((SECONDS - began)) s"
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0 && passed > 0))
