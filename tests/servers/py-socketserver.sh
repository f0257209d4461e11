#!/bin/sh
# server: py-socketserver   class: A   debian: python3
# shows: poll, then a blocking accept
. "${0%/*}/lib/recipe.sh"

start() {
    cat >server.py <<'END'
import socketserver, sys

class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"socketserver " + self.rfile.readline())

socketserver.TCPServer.allow_reuse_address = True
socketserver.TCPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
END
    exec python3 server.py "$port"
}

probe() {
    answers ping "socketserver ping"
}

recipe "$@"
