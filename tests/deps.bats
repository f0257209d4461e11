# deps.bats - what a machine lacks is installed, once and in words of one line, or named.

load places

# A table of two things: one is there, the other comes with the package that the fake apt-get installs.
setup() {
    TMP=$(mktemp -d /tmp/sshim-t.XXXXXX)
    export DEPS_TABLE=$TMP/table
    printf 'sh  dash  some all\n%s  absent-package  all # a comment\n' "$TMP/ab*ent" >"$DEPS_TABLE"
    # The real command would write to the machine: only its arguments count here.
    sed "s|^policy=.*|policy=$TMP/policy|" "$ROOT/scripts/deps.sh" >"$TMP/deps.sh"
    fake apt-get "echo \"\$@\" >>$TMP/apt; [ ! -e $TMP/policy ] || cp $TMP/policy $TMP/policy.seen"
    fake id 'echo 0'
    export PATH=$TMP/bin:$PATH
}

teardown() {
    rm -rf "$TMP"
}

fake() { # COMMAND BODY
    mkdir -p "$TMP/bin"
    printf '#!/bin/sh\n%s\n' "$2" >"$TMP/bin/$1"
    chmod 755 "$TMP/bin/$1"
}

deps() {
    run sh "$TMP/deps.sh" "$@"
    echo "$output"
}

@test "where nothing is missing nothing is said and nothing installed" {
    deps some
    [[ $status == 0 && -z $output && ! -e $TMP/apt ]]
}

@test "what is missing is installed, with one line about it" {
    fake apt-get "echo \"\$@\" >>$TMP/apt; touch $TMP/absent"
    deps all
    [[ $status == 0 && $output == "deps: installing absent-package" ]]
    grep -q 'install .*absent-package$' "$TMP/apt"
}

@test "no service is started by an installation, and the machine's policy is as before" {
    deps all
    grep -q 'exit 101' "$TMP/policy.seen"
    [[ ! -e $TMP/policy ]]
    echo mine >"$TMP/policy"
    deps all
    [[ $(cat "$TMP/policy") == mine ]]
}

@test "a package that does not come is an error that names it" {
    deps all
    [[ $status == 1 && $output == *"cannot install absent-package"* ]]
}

@test "without root the packages are named" {
    fake id 'echo 1000'
    deps all
    [[ $status == 1 && ! -e $TMP/apt ]]
    [[ $output == "deps: packages are missing; install them as root: apt-get install absent-package" ]]
}

@test "a package may be named in place of a target" {
    fake dpkg-query '[ "$4" = absent-package ] || printf installed'
    deps debian:dash debian:absent-package
    [[ $status == 1 && $output == *"cannot install absent-package"* ]]
}

@test "the packages of the servers that the tests run come with the others" {
    local name package
    for name in $(sed -n 's/^@test .*{ serves \(.*\); }/\1/p' "$ROOT/tests/servers.bats"); do
        for package in $(sed -n '2s/.*debian: *//p' "$ROOT/tests/servers/$name.sh" | tr + ' '); do
            echo "$name needs $package"
            sed 's/#.*//' "$ROOT/scripts/deps.txt" | awk -v p="$package" '$2 == p && / check/' | grep -q .
        done
    done
}

@test "each line of the table has a need, a package and a target" {
    [[ -z $(sed 's/#.*//' "$ROOT/scripts/deps.txt" | awk 'NF && NF < 3') ]]
    (($(sed 's/#.*//' "$ROOT/scripts/deps.txt" | awk 'NF' | wc -l) > 20))
}
