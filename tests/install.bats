# install.bats - what make install puts in place, and that nothing of it stays: programs, manual, units, completion.

load places

setup() {
    TMP=$(mktemp -d /tmp/sshim-t.XXXXXX)
    PREFIX=$TMP/usr
    make -s -C "$ROOT" install PREFIX="$PREFIX" BUILD="$BUILD" >/dev/null
    SHARE=$PREFIX/share
}

teardown() {
    rm -rf "$TMP" "$TMP.left"
}

# "COMMAND --OPTION" of the program's own help, by its two tables.
options_of_run() {
    "$SSHIM" help | sed -n '/^options of run:/,/^$/p' | sed -nE 's/^ {2,6}(-[a-z], )?(--[a-z-]+).*/\2/p' | sort -u
}

options_of_others() {
    "$SSHIM" help | sed -n '/^options of the other/,$p' | sed -nE 's/^ {2,6}(-[a-z], )?(--[a-z-]+).*/\2/p' | sort -u
}

commands() {
    "$SSHIM" help | sed -nE 's/^(usage:| +) ?sshim ([a-z]+)( .*)?$/\2/p' | sort -u
}

# What each shell offers, one word a line, for a command line that ends in the word to be completed.
offers_bash() { # WORD...
    bash -c '. "$0"; COMP_WORDS=(sshim "$@"); COMP_CWORD=$#; _sshim; printf "%s\n" "${COMPREPLY[@]}"' \
        "$SHARE/bash-completion/completions/sshim" "$@" | sort -u
}

offers_fish() {
    HOME=$TMP fish --no-config -c 'source $argv[1]; complete -C "$argv[2]"' "$SHARE/fish/vendor_completions.d/sshim.fish" "sshim $*" |
        cut -f1 | sort -u
}

# zsh completes in its line editor alone; _arguments and _describe tell what they were given instead.
offers_zsh() {
    zsh -fc 'words=(sshim "${@:2}"); CURRENT=$#words
        _describe() { print -rl -- ${${(P)2}%%:*} }
        _arguments() { print -rl -- ${${${@#\(*\)}#\*}%%\[*} }
        source $1' zsh "$SHARE/zsh/site-functions/_sshim" "$@" | sort -u
}

@test "what was installed is used, and is removed as a whole" {
    "$PREFIX/bin/sshim" check -- /bin/cat | grep -q "can be preloaded"
    # each program that was built is found by what was installed
    local program
    for program in "$BUILD"/sshim-*; do
        [[ ! -x $program ]] || cmp "$program" "$PREFIX/lib/sshim/${program##*/}"
    done
    run "$PREFIX/bin/sshim" top --control "$TMP/none.sock"
    [[ $output == *"top needs a terminal"* ]] # says sshim-top itself
    make -s -C "$ROOT" uninstall PREFIX="$PREFIX" BUILD="$BUILD"
    find "$TMP" ! -type d >"$TMP.left" || true
    cat "$TMP.left"
    [[ ! -s $TMP.left ]]
    [[ ! -e $PREFIX/lib/sshim ]]
}

@test "systemd takes the units, and sees little that a service could do" {
    local units=$PREFIX/lib/systemd/system
    cp "$SHARE/doc/sshim/sshim@web.socket" "$units"
    run systemd-analyze verify --man=no "$units/sshim@.service" "$units/sshim@web.socket"
    [[ $status == 0 && -z $output ]]
    systemd-analyze security --offline=true --threshold=20 "$units/sshim@.service" >/dev/null
}

@test "bash, zsh and fish complete the commands and the options of the program's tables, and no others" {
    local shell
    for shell in bash zsh fish; do
        echo "$shell"
        diff <(offers_$shell '') <(commands)
        diff <(offers_$shell run -- | grep -E '^--.') <(options_of_run)
        { for command in $(commands | grep -vx run); do offers_$shell "$command" --; done; } | grep -E '^--.' | sort -u >"$TMP/others"
        diff "$TMP/others" <(options_of_others)
        # an option is offered by the commands that take it
        offers_$shell scale -- | grep -qx -- --no-wait
        ! offers_$shell scale -- | grep -x -- --json || false
    done
    [[ $(offers_bash run --config "$ROOT/ARCHI") == "$ROOT/ARCHITECTURE.md" ]]
    offers_bash run -- bashb | grep -qx bashbug
}
