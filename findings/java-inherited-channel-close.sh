#!/usr/bin/env bash
# OpenJDK 17: closing the channel that System.inheritedChannel() returned puts /dev/null over descriptors 0, 1 and 2.
#
# The inherited channel is descriptor 0, as from inetd or a unit with StandardInput=socket. Under inetd all three are the socket, so close()
# replaces all three; it does not look whether 1 and 2 are something else, as with StandardError=journal.
# One would guess: close() closes the listening socket. A server that stops listening and then drains loses what it says on
# stdout and stderr from there on: the messages of its end, and the stack trace if it fails.
source "$(dirname "$0")/common.sh"

unpack_debs openjdk-17-jre-headless
cat >"$work/Serve.java" <<'JAVA'
import java.nio.channels.Channel;
import java.nio.file.*;
public class Serve {
    static String kind(int fd) throws Exception {
        String target = Files.readSymbolicLink(Path.of("/proc/self/fd/" + fd)).toString();
        return target.equals("/dev/null") ? "null" : "open";
    }
    static void say(String when) throws Exception {
        System.out.println(when);
        System.err.println(when);
        String all = when + ": " + kind(0) + " " + kind(1) + " " + kind(2) + "\n";
        Files.writeString(Path.of(System.getProperty("log")), all, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }
    public static void main(String[] args) throws Exception {
        Channel channel = System.inheritedChannel();
        say("listening");
        channel.close();
        say("closed");
    }
}
JAVA
java=$work/root/usr/lib/jvm/java-17-openjdk-amd64/bin/java
python3 "$here/with_fds.py" 0 0 "$java" -Dlog="$work/log" "$work/Serve.java" 2>&1 >"$work/stdout" | cat >"$work/stderr"
expect 'descriptors 0, 1 and 2' "$(paste -sd, "$work/log")" 'listening: open open open,closed: null null null'
expect 'what stdout got' "$(cat "$work/stdout")" listening
expect 'what stderr got' "$(cat "$work/stderr")" listening
finish
