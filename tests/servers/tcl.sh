#!/bin/sh
# server: tcl   class: A   debian: tcl
# shows: select in another thread than accept
. "${0%/*}/lib/recipe.sh"

start() {
    cat >server.tcl <<'END'
proc serve {client address port} {
    fconfigure $client -blocking 0 -buffering line -translation lf
    fileevent $client readable [list answer $client]
}
proc answer {client} {
    if {[gets $client line] >= 0} {
        puts $client "tcl $line"
    } elseif {[eof $client]} {
        close $client
    }
}
socket -server serve -myaddr 127.0.0.1 [lindex $argv 0]
vwait forever
END
    exec tclsh server.tcl "$port"
}

probe() {
    answers ping "tcl ping"
}

recipe "$@"
