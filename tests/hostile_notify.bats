# --ready notify: READY=1 of an honest worker is seen soon, whatever others send to its NOTIFY_SOCKET. And calls that a
# filter notifies.
load helpers

HOSTILE=$BUILD/tests/hostile

# A server that listens, waits for the file $TMP/order, and says that it is ready.
launch_server() { # OPTIONS...
    cat >"$TMP/server" <<'PY'
import os, socket, sys, time
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("listening", os.environ["NOTIFY_SOCKET"], flush=True)
while not os.path.exists(sys.argv[3]):
    time.sleep(0.01)
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", "\0" + os.environ["NOTIFY_SOCKET"][1:])
print("sent", flush=True)
while True:
    connection, _ = listener.accept()
    connection.sendall(b"pid=%d\n" % os.getpid())
    connection.close()
PY
    launch_broker -w 1 --ready notify "$@" -- python3 "$TMP/server" "$HOST" "$PORT" "$TMP/order"
    wait_until grep -q listening "$TMP/out"
    NAME=$(sed -n 's/^listening //p' "$TMP/out")
}

is_ready() {
    status_is '.state == "ready"'
}

is_under_way() {
    grep -q attacks "$TMP/out.other"
}

now_ms() {
    echo "$((${EPOCHREALTIME/./} / 1000))"
}

# The broker, its helpers, the worker, and theirs.
pool_pids() {
    echo "$BROKER"
    pgrep -P "$BROKER"
    pgrep -P "$(pgrep -d, -P "$BROKER")" || true
}

# Natively, and here on an idle machine, it is some milliseconds.
is_ready_soon() {
    local begin pids before took waited
    mapfile -t pids < <(pool_pids)
    begin=$(now_ms)
    before=$(waited_ms "${pids[@]}")
    touch "$TMP/order"
    wait_until is_ready
    took=$(($(now_ms) - begin))
    waited=$(($(waited_ms "${pids[@]}") - before))
    ((waited > 0)) || waited=0 # one of them has ended
    echo "READY=1 took $took ms, less $waited ms for want of a processor, longest turn $(status_of .longest_turn_ms) ms"
    ((took - waited < 6000))
    timeout 60 python3 -c 'import socket, sys
assert socket.create_connection((sys.argv[1], int(sys.argv[2]))).makefile().readline().startswith("pid=")' "$HOST" "$PORT"
}

attack() { # KIND [FILE]
    needs_root
    start_other "$HOSTILE/stranger_floods_notify" "$NAME" "$@"
    wait_until is_under_way
    sleep 1 # until the queue is full: it has no end to wait for
}

# Its processes end with the socket.
end_attack() {
    timeout "$DEADLINE_S" "$SSHIM" stop --control "$CONTROL"
    wait_for_broker
    [[ $STATUS == 0 ]]
}

@test "strangers who say READY=1 without end do not hold up a worker's" {
    launch_server
    attack words
    is_ready_soon
    end_attack
}

@test "connections whose close sleeps, sent by strangers without end, do not hold up a worker's READY=1" {
    launch_server
    attack lingering
    is_ready_soon
    end_attack
}

mount_hung() {
    needs_root
    mkdir "$TMP/hung"
    start_other python3 "$ROOT/tests/hostile/hung_mount.py" "$TMP/hung" files
    SERVER=$OTHER
    wait_until grep -q mounted "$TMP/out.other"
}

unmount_hung() {
    kill -KILL "$SERVER"
    umount -l "$TMP/hung"
}

# Each waits for a close; where the kernel can refuse descriptors they are eight, and as many as one socket has room for.
receivers() {
    pgrep -cx sshim-receiver -P "$(pgrep -x sshim-receiver -P "$BROKER")"
}

@test "descriptors whose close no signal ends, sent by a stranger, do not hold up a worker's READY=1" {
    mount_hung
    launch_server
    attack held "$TMP/hung/file"
    wait_until eval '(($(receivers) >= 8))' || { unmount_hung; return 1; }
    is_ready_soon || { unmount_hung; return 1; }
    (($(receivers) <= 64)) || { unmount_hung; return 1; }
    end_attack || { unmount_hung; return 1; }
    unmount_hung
}

# There they cannot be refused, and whoever takes them is the one to close them.
@test "before Linux 6.16 64 descriptors whose close no signal ends keep READY=1 from being heard until one is closed" {
    mount_hung
    ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD=$HOSTILE/old_kernel.so launch_server
    attack held "$TMP/hung/file"
    wait_until eval '(($(receivers) == 64))' || { unmount_hung; return 1; }
    touch "$TMP/order"
    sleep 1
    status_is '.state != "ready" and .longest_turn_ms < 2500' || { unmount_hung; return 1; }
    unmount_hung
    wait_until is_ready
    end_attack
}

attack_is_over() {
    grep -q "done" "$TMP/out"
}

@test "a worker that has an epoll descriptor in the place of the socket that it binds does not stop the loop" {
    mount_hung
    share_build
    cp "$HOSTILE/worker_hung_notify" "$TMP/build"
    cp "$BUILD/tests/unloaded/victim" "$TMP/build/static"
    cat >"$TMP/build/server" <<END
[ "\$SSHIM_WORKER_ID" = 1 ] || exec "$TMP/build/static" accept $ADDR
exec "$TMP/build/worker_hung_notify" "$TMP/hung/file" $HOST $PORT
END
    chmod -R a+rX "$TMP/build"
    launch_broker -w 2 --ready-min 1 --user nobody --intercept seccomp -- sh "$TMP/build/server"
    wait_until status_is '.ready >= 1' || { unmount_hung; return 1; }
    wait_until attack_is_over || { unmount_hung; return 1; }
    turns_are_short 1000 || { unmount_hung; return 1; }
    if log_has "stood still"; then unmount_hung; return 1; fi
    timeout "$DEADLINE_S" "$SSHIM" stop --now --control "$CONTROL" || { unmount_hung; return 1; }
    unmount_hung
    wait_for_broker
}
