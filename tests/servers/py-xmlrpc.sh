#!/bin/sh
# server: py-xmlrpc   class: A   debian: python3
# shows: answers calls, one connection at a time
. "${0%/*}/lib/recipe.sh"

start() {
    cat >server.py <<'END'
import sys
from xmlrpc.server import SimpleXMLRPCServer

server = SimpleXMLRPCServer(("127.0.0.1", int(sys.argv[1])))
server.register_function(str.upper, "upper")
server.serve_forever()
END
    exec python3 server.py "$port"
}

probe() {
    said=$(python3 -c 'import sys, xmlrpc.client; print(xmlrpc.client.ServerProxy(sys.argv[1]).upper("ping"))' "http://$address")
    [ "$said" = PING ]
}

recipe "$@"
