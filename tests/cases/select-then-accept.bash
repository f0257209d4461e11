#!/usr/bin/env bash
# Tcl's socket -server, whose listener blocks, is busy for a moment whenever a connection comes: all its other clients are answered
# nevertheless, though another copy may have got that connection meanwhile.
. "${0%/*}/lib/case.bash"

type -P tclsh >/dev/null || skip "tclsh is not installed"

server() { # PROGRAM PORT
    exec tclsh "$@"
}

cat >"$work/server.tcl" <<'END'
proc serve {client address port} {
    fconfigure $client -blocking 0 -buffering none -translation binary
    fileevent $client readable [list answer $client]
}
proc answer {client} {
    set word [read $client 1]
    if {$word eq "" && [eof $client]} {
        close $client
    } elseif {$word ne ""} {
        if {$word eq "w"} { after 150 }
        puts -nonewline $client k
    }
}
socket -server serve -myaddr 127.0.0.1 [lindex $argv 0]
puts serves
flush stdout
vwait forever
END

# Old clients, and new ones that connect just when the server begins to work for one of them.
clients() { # PORT TRIES
    python3 - "$1" "$2" <<'END'
import socket, sys
def answered(client, word):
    client.sendall(word)
    return client.recv(1) == b"k"
address = ("127.0.0.1", int(sys.argv[1]))
old = [socket.create_connection(address, 10) for _ in range(4)]
try:
    assert all(answered(client, b"p") for client in old)
    for i in range(int(sys.argv[2])):
        new = socket.socket()
        new.setblocking(False)
        new.connect_ex(address)
        assert answered(old[i % 4], b"w")
        assert all(answered(client, b"p") for client in old)
        new.close()
    print("answered")
except TimeoutError:
    print("silent at try", i)
END
}

recalled() {
    "$sshim" status --json --control "$work/control" |
        python3 -c 'import json, sys; print(sum(l["recalled"] for l in json.load(sys.stdin)["listeners"]))'
}

try() { # WAY
    local port
    port=$(free_port)
    start "$1" "$work/server.tcl" "$port"
    wait_until says serves "$(copies_of "$1")"
    wait_until answers "$port"
    expect "the other clients" "$(clients "$port" 30)" answered
    [[ $1 == native || $1 == *direct* ]] && return
    wait_until is_taken_back "$port"
    expect "connections taken back" "$(recalled)" "[1-9]*"
}

# It is chance whether a copy is slow enough: the try says something only if a connection was taken back.
is_taken_back() { # PORT
    [[ $(recalled) != 0 ]] || { expect "the other clients" "$(clients "$1" 30)" answered && [[ $(recalled) != 0 ]]; }
}

answers() { # PORT
    [[ $(clients "$1" 0) == answered ]]
}

cases native "-w 2 --accept-timeout 1" "-w 2 --handoff direct"
