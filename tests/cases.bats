# cases.bats - the cases of tests/cases that are as natively; make cases runs all. The judge is checked as well.

load helpers

case_passes() { # NAME
    run env SSHIM="$SSHIM" "$ROOT/scripts/cases.sh" "$1" 3>&-
    echo "$output"
    [[ $status == 0 && ${lines[-1]} == "1 passed, 0 failed, 0 skipped" ]]
}

@test "a program that looks for inherited sockets finds none of ours" { case_passes inherited-sockets; }
@test "a server that changes its port leaves the old one" { case_passes change-of-port; }
@test "a server that looks by connect before it binds starts in each copy" { case_passes looks-before-bind; }
@test "the only copy ends its listener as natively" { case_passes ends-its-listener; }
@test "a second port that opens after the first connection is served" { case_passes second-listener-late; }
@test "a thread that waits where the listener was says nothing about it" { case_passes epoll-left-again; }
@test "select and then accept on a listener that blocks, by Tcl" { case_passes select-then-accept; }
@test "the only copy is killed with clients that it has not accepted" { case_passes killed-with-clients; }
@test "a table that is full while clients come and go loses none of them" { case_passes full-table-with-churn; }

# The judge: a broker that does nothing is no success.
@test "a case fails where the program does not come up under sshim" {
    printf '#!/bin/sh\nexit 0\n' >"$TMP/sshim"
    chmod 755 "$TMP/sshim"
    run env SSHIM="$TMP/sshim" "$ROOT/scripts/cases.sh" inherited-sockets 3>&-
    echo "$output"
    [[ $status == 1 && ${lines[-1]} == "0 passed, 1 failed, 0 skipped" ]]
}
