# tcl_server.tcl PORT: one-byte requests as in protocol.h, in Tcl's event loop.
set id [format %04x [expr {[pid] & 0xffff}]]

proc greet {conn host port} {
    fconfigure $conn -blocking 0 -translation binary -buffering none
    fileevent $conn readable [list serve $conn]
}

proc serve {conn} {
    if {[catch {read $conn 1} type] || ($type eq "" && [eof $conn])} {
        close $conn
        return
    }
    if {$type eq ""} return
    puts -nonewline $conn "$type$::id\n"
    if {$type eq [string tolower $type]} {
        close $conn
    }
}

socket -server greet -myaddr 127.0.0.1 [lindex $argv 0]
vwait forever
