#!/usr/bin/env bash
# OpenJDK 17: every program that Java starts has SIGQUIT blocked.
#
# The virtual machine prints a thread dump on SIGQUIT. So that one thread of its own gets the signal, it blocks it in all others, and
# ProcessBuilder hands the mask of the calling thread on. A bash in between hands it on too, a dash clears it.
# One would guess: a child starts with the signal mask that Java was started with. A server whose graceful stop is SIGQUIT and
# that leaves its mask alone, as hypnotoad, never sees the signal if a Java program, such as a build tool or a CI server, started it.
source "$(dirname "$0")/common.sh"

unpack_debs openjdk-17-jre-headless
cat >"$work/Run.java" <<'JAVA'
public class Run {
    public static void main(String[] command) throws Exception {
        System.exit(new ProcessBuilder(command).inheritIO().start().waitFor());
    }
}
JAVA
java=("$work/root/usr/lib/jvm/java-17-openjdk-amd64/bin/java" "$work/Run.java")
blocked=(grep -oP 'SigBlk:\s*\K.*' /proc/self/status)
expect 'started by this shell, blocked' "$("${blocked[@]}")" 0000000000000000
expect 'started by Java, blocked (bit 2: signal 3)' "$("${java[@]}" "${blocked[@]}")" 0000000000000004
expect 'started by a bash that Java started, blocked' "$("${java[@]}" bash -c '"$@"; :' bash "${blocked[@]}")" 0000000000000004
expect 'started by a dash that Java started, blocked' "$("${java[@]}" dash -c '"$@"; :' dash "${blocked[@]}")" 0000000000000000

cat >"$work/server.py" <<'PY'
import signal, sys, time
signal.signal(signal.SIGQUIT, lambda *_: sys.exit("stopped gracefully"))
print("up", flush=True)
time.sleep(2)
sys.exit("never heard of it")
PY
stop() { # COMMAND...
    start_alone "$@" python3 "$work/server.py" >"$work/out" 2>"$work/end"
    wait_for grep -q up "$work/out"
    pkill -QUIT -g "$!" -f '^[^ ]*python3 [^ ]*server.py'
    wait_end "$!"
}
stop env
expect 'a server started by this shell, after SIGQUIT' "$(cat "$work/end")" 'stopped gracefully'
stop "${java[@]}"
expect 'a server started by Java, after SIGQUIT' "$(cat "$work/end")" 'never heard of it'
finish
