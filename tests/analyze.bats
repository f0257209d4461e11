# analyze.bats - the judge of make analyze lets no finding through that is not explained.

load places

setup() {
    TMP=$(mktemp -d /tmp/sshim-t.XXXXXX)
    mkdir -p "$TMP/scripts" "$TMP/tests/analyze" "$TMP/out/gcc" "$TMP/out/clang"
    cp "$ROOT/scripts/analyze.sh" "$TMP/scripts"
    echo '# none' >"$TMP/tests/analyze/known.txt"
    : >"$TMP/out/clang/a.txt"
    echo 'broker/a.c:7:3: warning: leak of '\''p'\'' [CWE-401] [-Wanalyzer-malloc-leak]' >"$TMP/out/gcc/a.txt"
}

teardown() {
    rm -rf "$TMP"
}

analyze() {
    run "$TMP/scripts/analyze.sh" "$TMP/out" 1
    echo "$output"
}

@test "a finding fails and is named with its place" {
    analyze
    [[ $status == 1 && $output == *"broker/a.c:7: leak of 'p'"* && $output == *"1 findings, 0 of them known" ]]
}

@test "a finding that is explained passes" {
    echo 'gcc broker/a.c -Wanalyzer-malloc-leak | leak of | p lives as long as the program' >>"$TMP/tests/analyze/known.txt"
    analyze
    [[ $status == 0 && $output == *"1 findings, 1 of them known" ]]
}

@test "an explanation of another file, without a reason or without a finding does not pass" {
    local line
    for line in 'gcc broker/b.c -Wanalyzer-malloc-leak | leak of | reason' 'gcc broker/a.c -Wanalyzer-malloc-leak | leak of |'; do
        echo "$line" >"$TMP/tests/analyze/known.txt"
        analyze
        [[ $status == 1 ]]
    done
    : >"$TMP/out/gcc/a.txt"
    analyze
    [[ $status == 1 && $output == *"known.txt"* ]]
}

@test "a tool that did not look at each file fails" {
    rm "$TMP/out/clang/a.txt"
    analyze
    [[ $status == 1 && $output == *"has 0 results of 1"* ]]
}
