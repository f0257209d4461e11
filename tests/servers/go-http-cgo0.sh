#!/bin/sh
# server: go-http-cgo0   class: D   debian: golang-go
# shows: a static program that makes system calls without libc
. "${0%/*}/lib/recipe.sh"

start() {
    cat >server.go <<'END'
package main

import (
	"io"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, os.Args[2]) })
	panic(http.ListenAndServe(os.Args[1], nil))
}
END
    CGO_ENABLED=0 GO111MODULE=off GOCACHE="$dir/cache" go build -o server server.go || exit 1
    exec ./server "$address" "$page"
}

probe() {
    http_serves ''
}

recipe "$@"
