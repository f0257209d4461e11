#!/bin/sh
# server: rust-static   class: D   debian: rustc
# shows: a static Rust program; Debian has no target for musl
. "${0%/*}/lib/recipe.sh"

start() {
    cat >server.rs <<'END'
use std::io::Write;
use std::net::TcpListener;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let listener = TcpListener::bind(&arguments[1]).unwrap();
    for client in listener.incoming() {
        let _ = writeln!(client.unwrap(), "{}", arguments[2]);
    }
}
END
    rustc -C target-feature=+crt-static server.rs || exit 1
    exec ./server "$address" "$page"
}

probe() {
    [ "$(talk </dev/null)" = "$page" ]
}

recipe "$@"
