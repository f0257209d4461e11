# The broker touches no file with more rights than the worker that asked: workers of another user that try, a hundred times
# each, beside honest clients. What is compared is every file of root's, after the attack and after the broker's end.
load helpers

setup_folders() {
    if [[ $(id -u) != 0 ]]; then
        echo "# only root can start workers of another user: no attack was made" >&3
        skip "only root can start workers of another user"
    fi
    share_build
    mkdir -m 755 "$TMP/root"
    mkdir -m 1777 "$TMP/sticky"
    mkdir "$TMP/own"
    chown nobody "$TMP/own"
    echo "root's secret" >"$TMP/root/shadow"
    echo "shown" >"$TMP/root/shown"
    chmod 600 "$TMP/root/shadow"
    python3 - "$TMP/root" "$TMP/sticky" <<'P'
import socket, sys
for folder in sys.argv[1:]:
    for i in range(100):
        socket.socket(socket.AF_UNIX).bind(f"{folder}/v{i}.sock")
P
    cp "$ROOT/tests/hostile/worker_paths.py" "$TMP/build"
    chmod a+r "$TMP/build/worker_paths.py"
    files_of_root >"$TMP/before"
}

# Everything that a change could show in, but for the times of reading. A hard link that the worker itself made is its own affair.
files_of_root() {
    find "$TMP/root" "$TMP/sticky" -printf '%p %i %y %m %U %G %s %T@\n' | sort
    sha256sum "$TMP/root/shadow" "$TMP/root/shown"
}

nothing_has_changed() {
    files_of_root | diff "$TMP/before" -
}

probe_and_see_end_of_attack() {
    probe 20 || exit 1
    grep -q "^attacks:" "$TMP/out"
}

# attack NAME: beside one of two honest victims, until it has made its tries; then the instance is stopped.
attack() {
    setup_folders
    printf '#!/bin/sh\n[ "$SSHIM_WORKER_ID" = 1 ] || PATH=/usr/bin:/bin env -u LD_PRELOAD python3 "%s" %s "%s" "%s" "%s" &\nexec "%s" accept %s\n' \
        "$TMP/build/worker_paths.py" "$1" "$TMP/own" "$TMP/root" "$TMP/sticky" "$VICTIM" "$ADDR" >"$TMP/build/server"
    chmod a+r "$TMP/build/server"
    start_broker -w 2 --user nobody --share all -- sh "$TMP/build/server"
    wait_until probe_and_see_end_of_attack
    probe 20
    nothing_has_changed
    ! grep "not refused" "$TMP/out" || return 1
    stop_broker
    [[ $STATUS == 0 ]]
    nothing_has_changed
}

# The sockets of root and of the attacker are not what is looked for there.
teardown_folders() {
    rm -rf "$TMP/own" "$TMP/root" "$TMP/sticky"
}
eval "$(declare -f teardown | sed '1s/teardown/teardown_all/')"
teardown() {
    teardown_folders
    teardown_all
}

# It got as far as the second step, each time.
attack_within() {
    attack "$1"
    grep -q "^attacks:.*(4, 0): [12][0-9][0-9]" "$TMP/out"
}

@test "names that lead out of the folder" { attack names; }
@test "a socket file in a folder of root's, with a lie about the inode" { attack_within others_folder; }
@test "a socket file of root's in a folder like /tmp, with a lie about the inode" { attack_within sticky_folder; }
@test "a name that exists and a socket that is not bound" { attack_within unbound; }
@test "a folder that becomes a link to root's between the two steps" { attack_within swapped_folder; }
@test "a file that becomes a link to root's after the claim" { attack_within swapped_file; }
@test "descriptors of other kinds in place of the folder" { attack wrong_kinds; }

@test "a socket file of the worker's own is removed in the end, by a process with its rights" {
    setup_folders
    printf '#!/bin/sh\n[ "$SSHIM_WORKER_ID" = 1 ] || PATH=/usr/bin:/bin env -u LD_PRELOAD python3 "%s" honest "%s" "%s" "%s" &\nexec "%s" accept %s\n' \
        "$TMP/build/worker_paths.py" "$TMP/own" "$TMP/root" "$TMP/sticky" "$VICTIM" "$ADDR" >"$TMP/build/server"
    chmod a+r "$TMP/build/server"
    start_broker -w 2 --user nobody --share all -- sh "$TMP/build/server"
    wait_until grep -q "^attacks:" "$TMP/out"
    (($(find "$TMP/own" -type s | wc -l) == 100))
    stop_broker
    [[ -z $(find "$TMP/own" -type s) ]]
    nothing_has_changed
}
