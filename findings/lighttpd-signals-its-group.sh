#!/usr/bin/env bash
# lighttpd 1.4.69 with server.max-worker: at its end it sends the signal to everybody in its process group, at a graceful restart SIGINT.
#
# Its parent calls kill(0, SIGTERM), or kill(0, SIGINT) for SIGINT and SIGUSR1, to reach the workers. With -D it stays in the group of whoever
# started it, so a script's other servers, and the script itself, get it too. Without workers it signals nobody.
# One would guess: SIGTERM ends lighttpd and its workers, since a parent knows their pids; SIGUSR1, "graceful restart", ends nothing at all.
source "$(dirname "$0")/common.sh"

unpack_debs lighttpd libxxhash0 libnettle8 libpcre2-8-0
cat >"$work/lighttpd.py" <<'PY'
# lighttpd.py SIGNAL COMMAND...: runs the command and a neighbour in one process group and sends the command the signal.
import os, signal, socket, subprocess, sys, time
sent = getattr(signal, sys.argv[1])
signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore it
neighbour = subprocess.Popen(["sleep", "30"], preexec_fn=lambda: os.setpgid(0, 0))
server = subprocess.Popen(sys.argv[3:], preexec_fn=lambda: os.setpgid(0, neighbour.pid))
try:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", int(sys.argv[2]))).close()
            break
        except OSError:
            time.sleep(0.1)
    time.sleep(0.5)
    server.send_signal(sent)
    try:
        neighbour.wait(3)
    except subprocess.TimeoutExpired:
        print("the neighbour lives")
    else:
        print("the neighbour died of", signal.Signals(-neighbour.returncode).name)
finally:
    os.killpg(neighbour.pid, signal.SIGKILL)
PY
after() { # SIGNAL WORKERS
    local port
    port=$(free_port)
    printf 'server.document-root="%s"\nserver.bind="127.0.0.1"\nserver.port=%s\nserver.max-worker=%s\n' "$work" "$port" "$2" >"$work/conf"
    LD_LIBRARY_PATH=$work/root/usr/lib/x86_64-linux-gnu python3 "$work/lighttpd.py" "$1" "$port" \
        "$work/root/usr/sbin/lighttpd" -D -f "$work/conf" -m "$work/root/usr/lib/lighttpd" 2>/dev/null
}
expect 'no workers, SIGTERM' "$(after SIGTERM 0)" 'the neighbour lives'
expect 'two workers, SIGTERM' "$(after SIGTERM 2)" 'the neighbour died of SIGTERM'
expect 'two workers, SIGINT' "$(after SIGINT 2)" 'the neighbour died of SIGINT'
expect 'no workers, SIGUSR1' "$(after SIGUSR1 0)" 'the neighbour lives'
expect 'two workers, SIGUSR1' "$(after SIGUSR1 2)" 'the neighbour died of SIGINT'
finish
