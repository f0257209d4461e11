# A terminal of tmux: its screen, and its end with the test. Load it after helpers.

eval "$(declare -f teardown | sed '1s/teardown/teardown_all/')"
teardown() {
    terminal kill-server 2>/dev/null || true
    rm -f "$TMP/tmux"
    teardown_all
}

terminal() {
    tmux -S "$TMP/tmux" -f /dev/null "$@"
}

screen() {
    terminal capture-pane -p
}

screen_has() { # REGEX of a line
    screen | grep -qE -- "$1"
}
