# go.bash - servers in Go, compiled when a test needs one: load go, after load helpers.
# shellcheck shell=bash

compile_go() { # writes $TMP/server from standard input; CGO_ENABLED says how
    type -P go >/dev/null || skip "there is no Go compiler"
    cat >"$TMP/server.go"
    (cd "$TMP" && HOME=$TMP GO111MODULE=off GOCACHE=$TMP/cache GOFLAGS=-p=1 go build -o server server.go)
}

# A server that finishes what it has when it is told to end.
graceful_go() {
    compile_go <<'END'
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	s := &http.Server{Addr: os.Args[1]}
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, os.Getpid()) })
	over := make(chan bool)
	go func() {
		told := make(chan os.Signal, 1)
		signal.Notify(told, syscall.SIGTERM)
		<-told
		s.Shutdown(context.Background())
		close(over)
	}()
	if err := s.ListenAndServe(); err != http.ErrServerClosed {
		panic(err)
	}
	<-over
}
END
}
