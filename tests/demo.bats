# make demo, the first command of README.md, keeps each promise that it prints.

load places

@test "the demo succeeds and every line of it is ok" {
    run "$ROOT/scripts/demo.sh" "$SSHIM"
    echo "$output"
    ((status == 0))
    (($(grep -c '^   ok ' <<<"$output") >= 7))
    ! grep -q FAILED <<<"$output" || false
}
