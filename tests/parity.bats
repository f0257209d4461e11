#!/usr/bin/env bats
# Nothing that a server does to its shared address goes past the library; `make parity` looks at many more servers.

load places

parity() {
    run python3 "$ROOT/tests/parity/parity.py" "$@" 3>&-
    echo "$output"
}

@test "parity: of victims that listen and accept in strange ways nothing goes past the library" {
    parity "victim_fd fd0" "victim_proc passed" "victim_proc vfork" "victim_wait threads" "victim_listen shutdown"
    [ "$status" = 0 ]
    [[ ${lines[-1]} == "5 passed, 0 failed, 0 skipped" ]]
}

@test "parity: a server that calls past the library is found out" {
    parity "victim_past everything" "victim_past accept"
    [ "$status" = 1 ]
    [[ $output == *"everything"*" bind went past the library"*" accepts in the kernel, 0 known to the library"* ]]
    [[ $output == *"accept "*"FAIL"*"accept went past the library"* ]]
    [[ ${lines[-1]} == "0 passed, 2 failed, 0 skipped" ]]
}
