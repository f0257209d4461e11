#!/usr/bin/env bash
# stack.sh FOLDER - how much of the program's stack each call of the library takes beyond the C library's own, at most.
#
# gcc -fcallgraph-info=su tells the frame of each function and whom it calls; the deepest way down counts. Calls by pointer lead
# into the C library but for those that are named below. Exit code 1: libsshim(7), section STACK, tells less of a call.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:?usage: $0 FOLDER}

mkdir -p "$folder"
: >"$folder/graph"
for source in shim/*.c shim/*/*.c proto/*.c; do
    object=$folder/${source//\//_}.o
    gcc -std=gnu11 -D_GNU_SOURCE -I. -O2 -fno-optimize-sibling-calls -fPIC -fvisibility=hidden -fexceptions -fcallgraph-info=su -c -o "$object" "$source"
    cat "${object%.o}.ci" >>"$folder/graph"
done
# who is called by pointer: the visitors of retarget_each_open_fd(), those that look a listener up, and the calls of polling.c
cat >>"$folder/graph" <<'END'
edge: { sourcename: "retarget_each_open_fd" targetname: "shim/base/retarget.c:visit_dup" }
edge: { sourcename: "retarget_each_open_fd" targetname: "shim/base/retarget.c:visit_epoll" }
edge: { sourcename: "closefrom" targetname: "shim/hooks/hooks_fd.c:close_unless_hidden" }
edge: { sourcename: "accept" targetname: "recognise_again" }
edge: { sourcename: "accept4" targetname: "recognise_again" }
edge: { sourcename: "shim/take/polling.c:wait_in_rounds" targetname: "shim/take/polling.c:call_again" }
END
for call in poll poll_chk ppoll ppoll_chk poll_number number select pselect; do
    echo "edge: { sourcename: \"shim/take/polling.c:wait_in_rounds\" targetname: \"shim/hooks/hooks_wait.c:call_$call\" }"
    echo "edge: { sourcename: \"shim/take/polling.c:call_again\" targetname: \"shim/hooks/hooks_wait.c:call_$call\" }"
done >>"$folder/graph"
nm -D --defined-only "${LIBRARY:-build/libsshim.so}" | awk '{ print $3 }' >"$folder/exported"

# NAME BYTES
awk -F'"' '
function deepest(name,    i, count, callees, most, bytes) {
    if (name in depth || !(name in frame))
        return depth[name] + 0
    depth[name] = frame[name] # ends a circle
    count = split(calls[name], callees, "\n")
    for (i = 1; i < count; i++)
        if ((bytes = deepest(callees[i])) > most)
            most = bytes
    return depth[name] = frame[name] + most
}
FILENAME ~ /exported$/ { exported[$1]; next }
/^node:/ && match($4, /[0-9]+ bytes/) { frame[$2] = substr($4, RSTART, RLENGTH) + 0 }
/^edge:/ { calls[$2] = calls[$2] $4 "\n" }
END { for (name in exported) print name, deepest(name) }
' "$folder/exported" "$folder/graph" | sort -k 2rn -k 1 >"$folder/measured"

# ".It Li 1,024 Ta Fn a , Fn b": NAME BYTES
awk '/^\.It Li/ { gsub(",", "", $3); for (i = 5; i <= NF; i++) if ($(i - 1) == "Fn") print $i, $3 }' man/libsshim.7 >"$folder/told"

failed=0
while read -r name bytes; do
    told=$(awk -v name="$name" '$1 == name { print $2 }' "$folder/told")
    if [[ $name != __* ]] && ((${told:-0} < bytes)); then
        echo "$name takes $bytes bytes of stack; libsshim(7), STACK, says ${told:-nothing}"
        failed=1
    fi
    printf '%6d %s\n' "$bytes" "$name"
done <"$folder/measured"
exit $failed
