# A worker that goes into the background: its child is the worker from then on.
load helpers

# Starts the child that serves, then as many processes that have nothing of the worker, and ends.
in_crowd() {
    cat <<'END'
import os, socket, subprocess, sys
host, port = sys.argv[1].rsplit(":", 1)
listener = socket.create_server((host, int(port)))
if os.fork() == 0:
    open(sys.argv[3], "w").write(str(os.getpid()))
    while True:
        client, _ = listener.accept()
        client.sendall(b"x")
        client.close()
for _ in range(int(sys.argv[2])):
    os.posix_spawn("/bin/sleep", ["sleep", "600"], {"SSHIM_TEST": os.environ["SSHIM_TEST"]})
listener.close()
os._exit(0)
END
}

heir_is_worker() {
    [[ -s $TMP/heir && $(worker_pid 0) == "$(<"$TMP/heir")" ]]
}

@test "the child that serves is found among many that do not" {
    launch_broker -w 1 -- python3 -c "$(in_crowd)" "$ADDR" 500 "$TMP/heir"
    wait_until heir_is_worker
    [[ $(worker_pid 0) == "$(<"$TMP/heir")" ]]
    status_is '.workers[0].restarts == 0 and .state == "ready"'
    pkill -KILL -P "$BROKER" -x sleep
    stop_broker
}
