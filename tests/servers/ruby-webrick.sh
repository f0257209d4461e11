#!/bin/sh
# server: ruby-webrick   class: A   debian: ruby-webrick
# shows: select, then accept_nonblock
. "${0%/*}/lib/recipe.sh"

start() {
    echo "$page" >index.html
    cat >server.rb <<'END'
require "webrick"
WEBrick::HTTPServer.new(BindAddress: "127.0.0.1", Port: Integer(ARGV[0]), DocumentRoot: ".").start
END
    exec ruby server.rb "$port"
}

probe() {
    http_serves index.html
}

recipe "$@"
