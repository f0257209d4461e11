#!/usr/bin/env bash
# busybox 1.35.0: `start-stop-daemon -S -b` closes descriptors 3, 4 ... up to the first unused number, and no others.
#
# Its way into the background opens /dev/null and closes downward from the number it got. dpkg's tool of the same name closes everything
# above 2; without -b both close nothing.
# One would guess: either all are inherited or none. As sockets of socket activation are numbered from 3 without a gap, exactly they are
# lost, while a descriptor after a gap (a log file, a lock) leaks into the daemon.
source "$(dirname "$0")/common.sh"

unpack_debs busybox-static
cat >"$work/show" <<SH
#!/bin/sh
for n in 3 4 5 6; do
    [ -S /proc/self/fd/\$n ] && seen="\$seen \$n"
done
echo "\$seen" >"$work/seen.tmp" && mv "$work/seen.tmp" "$work/seen"
SH
chmod +x "$work/show"
left() { # FDS COMMAND...
    rm -f "$work/seen"
    python3 "$here/with_fds.py" "$1" 0 "${@:2}" "$work/show" </dev/null >/dev/null 2>&1
    wait_for test -e "$work/seen"
    cat "$work/seen"
}
busybox=("$work/root/bin/busybox" start-stop-daemon -S)
expect 'foreground, given 3 4' "$(left 3,4 "${busybox[@]}" -x)" ' 3 4'
expect 'background, given 3 4' "$(left 3,4 "${busybox[@]}" -b -x)" ''
expect 'background, given 3 5 6' "$(left 3,5,6 "${busybox[@]}" -b -x)" ' 5 6'
expect 'background, given 4' "$(left 4 "${busybox[@]}" -b -x)" ' 4'
expect "dpkg's, background, given 3 5 6" "$(left 3,5,6 /sbin/start-stop-daemon --start --background --exec)" ''
finish
