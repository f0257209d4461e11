# deploy.bash - a server that is deployed anew, tests/progs/deploy.py, for tests that load helpers first.

deploy() { # LINES of its configuration
    printf '%s\n' "$@" >"$TMP/conf.new"
    mv "$TMP/conf.new" "$TMP/conf"
}

serve() { # OPTIONS of run
    start_broker "$@" -- python3 "$ROOT/tests/progs/deploy.py" "$TMP/conf"
}
