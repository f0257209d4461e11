# The documents say what the program does: options, exit codes, the JSON of status, and the names they mention.

load places

setup() {
    TMP=$(mktemp -d /tmp/sshim-t.XXXXXX)
    BROKER=
}

teardown() {
    if [[ -n $BROKER ]]; then
        kill -TERM "$BROKER" 2>/dev/null || true
        wait "$BROKER" || true
    fi
    rm -rf "$TMP"
}

# The page as a reader sees it, without bold type.
render_man() { # FILE
    GROFF_NO_SGR=1 groff -mandoc -Tascii -rLL=200n "$1" | sed 's/.\x08//g'
}

# Each option with its argument, as "-w, --workers N|auto", one a line.
options_in() {
    grep -oE -- '(-[a-z], )?--[a-z][a-z-]*( [A-Z]+(\|[a-z]+)?)?' | sort -u
}

help_options() {
    "$SSHIM" --help | sed -nE 's/^ {2,6}(-.*)/\1/p' | sed 's/   *.*//' | options_in
}

# All lines of the first file are in the second.
assert_contained() { # FILE FILE
    local missing
    missing=$(sort -u "$1" | comm -23 - <(sort -u "$2"))
    echo "in $1, not in $2: ${missing:-nothing}"
    [[ -z $missing ]]
}

# Words between backquotes that match a regular expression.
quoted() { # REGEX FILE...
    local regex=$1
    shift
    # shellcheck disable=SC2016
    grep -ohE -- '`[^`]+`' "$@" | tr -d '`' | grep -xE -- "$regex" | sort -u
}

@test "--help lists options" {
    (($(help_options | wc -l) >= 15))
    help_options | grep -qx -- '-w, --workers N|auto'
}

@test "every option that the README tells of is in --help" {
    help_options | grep -oE -- '--[a-z-]+' >"$TMP/help"
    # shellcheck disable=SC2016
    grep -oE '`[^`]+`' "$ROOT/README.md" | grep -v '{id}' | grep -oE -- '--[a-z][a-z-]+' >"$TMP/readme"
    [[ -s $TMP/readme ]]
    assert_contained "$TMP/readme" "$TMP/help"
}

@test "the recipes of OPERATING.md are configuration files, and its commands and options are those of --help" {
    awk -v folder="$TMP" '/^```conf/ { file = folder "/recipe" ++n ".conf"; next } /^```/ { file = "" } file { print > file }' "$ROOT/OPERATING.md"
    (($(ls "$TMP"/recipe*.conf | wc -l) >= 6))
    local recipe
    for recipe in "$TMP"/recipe*.conf; do
        "$SSHIM" run --dry-run --config "$recipe" >/dev/null
    done
    "$SSHIM" --help | sed -nE 's/^(usage:)? +sshim ([a-z]+) .*/\2/p' >"$TMP/help"
    grep -oE '`sshim [a-z]+' "$ROOT/OPERATING.md" | sed 's/.* //' >"$TMP/told"
    assert_contained "$TMP/told" "$TMP/help"
    help_options | grep -oE -- '--[a-z-]+' >"$TMP/help"
    sed -n '/^| need /,$p' "$ROOT/OPERATING.md" | cut -d'|' -f3 | grep -oE -- '--[a-z][a-z-]+' >"$TMP/told"
    assert_contained "$TMP/told" "$TMP/help"
}

@test "every option of --help is in sshim(1), with the same argument" {
    help_options >"$TMP/help"
    render_man "$ROOT/man/sshim.1" | sed -nE 's/^ +(-.*)/\1/p' | options_in >"$TMP/man"
    assert_contained "$TMP/help" "$TMP/man"
}

old_names() {
    sed -nE 's/.*\.old_name = "([a-z-]+)".*/--\1/p' "$ROOT/broker/cli/options/rows.c"
}

@test "every option of sshim(1) is in --help, or is an older name" {
    { help_options && old_names; } | grep -oE -- '--[a-z-]+' >"$TMP/help"
    render_man "$ROOT/man/sshim.1" | sed '/^   Examples/,/^   Words/d' | grep -oE -- '--[a-z][a-z-]+' >"$TMP/man"
    assert_contained "$TMP/man" "$TMP/help"
}

@test "older names of options work, and stand in sshim(1) alone" {
    local name
    (($(old_names | wc -l) >= 3))
    for name in $(old_names); do
        echo "$name"
        "$SSHIM" run "$name" 1 --help >"$TMP/help"
        ! grep -E -- "$name\>" "$TMP/help" "$ROOT"/*.md || false
        render_man "$ROOT/man/sshim.1" | tr -s ' \n' ' ' | grep -q -- "The older name is $name\."
    done
}

@test "every command of --help is in the README and in sshim(1)" {
    local command
    for command in $("$SSHIM" --help | sed -nE 's/^(usage:)? +sshim ([a-z]+) .*/\2/p' | sort -u); do
        echo "$command"
        grep -q "sshim $command" "$ROOT/README.md"
        grep -qE "^\.Cm $command" "$ROOT/man/sshim.1"
    done
}

@test "the exit codes of the source are those of the README and of sshim(1)" {
    # 1 is every other command's "no", and has no name in the source
    sed -nE 's/^#define EXIT_[A-Z_]+ ([0-9]+).*/\1/p' "$ROOT/broker/base/options.h" | grep -vx 1 | sort -u >"$TMP/source"
    sed -nE 's/^\| ([0-9]+) \|.*/\1/p' "$ROOT/README.md" | grep -vx 1 | sort -u >"$TMP/readme"
    sed -n '/^.Sh EXIT STATUS/,/^.Sh STATUS/p' "$ROOT/man/sshim.1" | sed -nE 's/^\.It ([0-9]+)$/\1/p' | sort -u >"$TMP/man"
    [[ -s $TMP/source ]]
    diff "$TMP/source" "$TMP/readme"
    diff "$TMP/source" "$TMP/man"
}

@test "the signals that the broker takes are in the README and in sshim(1)" {
    local signal
    grep -q "case SIGTERM:" "$ROOT/broker/operate/signals.c"
    # shellcheck disable=SC2013
    for signal in $(sed -nE 's/^ *case SIG([A-Z0-9]+):.*/\1/p' "$ROOT/broker/operate/signals.c" | grep -v CHLD); do
        echo "$signal"
        sed -n '/^| signal/,/^$/p' "$ROOT/README.md" | grep -qw "$signal"
        sed -n '/^.Sh SIGNALS/,/^.Sh ENV/p' "$ROOT/man/sshim.1" | grep -qw "$signal"
    done
}

@test "the JSON of status has the members that sshim(1) shows" {
    "$SSHIM" run -w 1 --control "$TMP/c" -- sleep 60 3>&- 2>"$TMP/log" &
    BROKER=$!
    local end=$((SECONDS + 30))
    until "$SSHIM" status --json --control "$TMP/c" >"$TMP/status" 2>/dev/null; do
        ((SECONDS < end))
        sleep 0.05
    done
    jq -r 'keys[], (.workers[0] | keys[])' "$TMP/status" | sort -u >"$TMP/real"
    "$SSHIM" stop --control "$TMP/c"
    wait "$BROKER"
    BROKER=
    sed -n '/^.Sh STATUS/,/^.Sh SEE ALSO/p' "$ROOT/man/sshim.1" | sed -n '/^.Bd/,/^.Ed/p' | sed '/^\.[BE]d/d' | tr -d '\n' >"$TMP/shown.json"
    jq -r 'keys[], (.workers[0] | keys[])' "$TMP/shown.json" | sort -u >"$TMP/shown"
    diff "$TMP/real" "$TMP/shown"
    local member
    for member in $(jq -r '.listeners[0] | keys[]' "$TMP/shown.json"); do
        echo "$member"
        grep -qF -e "\\\"$member\\\":" -e ", \"$member\")" "$ROOT/broker/operate/tell/status.c" "$ROOT/broker/handout/front/held.h"
    done
}

@test "the states of workers are in sshim(1)" {
    local state
    for state in $(sed -n '/^#define WORKER_STATES(X)/,/[^\\]$/p' "$ROOT/broker/pool/worker.h" | sed -nE 's/^ *X\([A-Z]+, "([a-z]+)"\).*/\1/p') busy stuck backoff ended drained; do
        [[ $state == gone ]] || grep -qx ".It $state" "$ROOT/man/sshim.1"
    done
}

@test "man pages have no errors, and begin with examples" {
    local page
    for page in "$ROOT"/man/*.[1-8]; do
        [[ -z $(groff -ww -mandoc -Tascii "$page" 2>&1 >/dev/null) ]]
        # whether other manuals are installed is the machine's affair
        mandoc -T lint "$page" 2>/dev/null | grep -v 'referenced manual not found' >"$TMP/lint" || true
        cat "$TMP/lint"
        [[ ! -s $TMP/lint ]]
        [[ $(grep -m 1 '^\.Ss ' "$page") == '.Ss Examples' ]]
    done
}

@test "CHANGELOG.md has an Unreleased part, and its newest version is that of the program" {
    grep -E '^## ' "$ROOT/CHANGELOG.md" | head -n 2 >"$TMP/parts"
    [[ $(sed -n 1p "$TMP/parts") == "## Unreleased" ]]
    [[ $(sed -n 2p "$TMP/parts") == "## $("$SSHIM" version | cut -d' ' -f2), "* ]]
}

@test "manual pages are installed with the version" {
    make -s -C "$ROOT" install DESTDIR="$TMP/root" BUILD="$BUILD" >/dev/null
    local page
    for page in "$TMP"/root/usr/local/share/man/man?/*; do
        grep -qx "\.Os sshim $("$SSHIM" version | cut -d' ' -f2)" "$page"
    done
}

@test "make help lists every target that a document names" {
    make -s -C "$ROOT" help | grep -oE 'make [a-z-]+' | sort -u >"$TMP/help"
    # shellcheck disable=SC2016
    grep -ohE '`make [a-z-]+' "$ROOT"/*.md | tr -d '`' | sort -u >"$TMP/named"
    (($(wc -l <"$TMP/named") > 5))
    assert_contained "$TMP/named" "$TMP/help"
}

@test "files and folders that the documents name exist" {
    local name
    for name in $(quoted '(proto|shim|broker|tests|scripts|man)/[a-z0-9_./-]*' "$ROOT"/*.md); do
        echo "$name"
        [[ -e $ROOT/$name ]]
    done
}

@test "links between the documents lead somewhere" {
    local name
    for name in $(grep -ohE '\]\([^)#:]+\)' "$ROOT"/*.md | tr -d '])('); do
        echo "$name"
        [[ -e $ROOT/$name ]]
    done
}

@test "functions that the documents name exist" {
    local name
    for name in $(quoted '[a-z_0-9]+\(\)' "$ROOT/ARCHITECTURE.md" "$ROOT/PROTOCOL.md" "$ROOT/SECURITY.md" | tr -d '()'); do
        echo "$name"
        grep -rqw --include="*.[ch]" -- "$name" "$ROOT/proto" "$ROOT/shim" "$ROOT/broker"
    done
}

# "FOLDER FILE" of every source file in the table of layers.
layers_told() {
    sed -nE 's/^\| `([a-z_/]+)\/` \| .* \| ([a-z_, ]+) \|$/\1 \2/p' "$ROOT/ARCHITECTURE.md" |
        while read -r folder files; do printf "$folder %s\n" ${files//,/}; done | sort
}

layers_there() {
    (cd "$ROOT" && find proto shim broker observe -name '*.[ch]' | sed -E 's/^(.*)\/([a-z_0-9]+)\.[ch]$/\1 \2/' | sort -u)
}

@test "the table of layers has every file of the programs, and no other" {
    layers_told >"$TMP/told"
    layers_there >"$TMP/there"
    diff "$TMP/there" "$TMP/told"
}

@test "functions that the models stand for exist" {
    local name
    for name in $(grep -ohE '\b[a-z_]+\(\)' "$ROOT"/tests/model/*.pml | tr -d '()' | grep -v '^model_' | sort -u); do
        echo "$name"
        grep -rqE --include="*.[ch]" "\b$name\(" "$ROOT/proto" "$ROOT/shim" "$ROOT/broker"
    done
}

@test "every message of the protocol is in PROTOCOL.md, and no other" {
    sed -nE 's/^ *X\(([A-Z]+), +[0-9]+, (REQUIRED|OPTIONAL|NONE),.*/\1/p' "$ROOT/proto/wire.h" | sort -u >"$TMP/source"
    sed -nE 's/^### ([A-Z]+) .*/\1/p' "$ROOT/PROTOCOL.md" | sort -u >"$TMP/told"
    (($(wc -l <"$TMP/source") >= 12))
    diff "$TMP/source" "$TMP/told"
}

# Items of the lists and paragraphs of SECURITY.md from "What is trusted" on, one a line.
security_parts() {
    sed '1,/^## What is trusted/d' "$ROOT/SECURITY.md" | awk '
        /^(##.*|$)/ { if (part) print part; part = ""; next }
        /^ *- / { if (part) print part; part = "" }
        { part = part " " $0 }
        END { if (part) print part }'
}

@test "each line, list item and paragraph of SECURITY.md names tests that exist" {
    local row file name
    sed -n '/^## Who can cause what/,/^## What is trusted/p' "$ROOT/SECURITY.md" | grep '^|' | sed 1,2d >"$TMP/rows"
    (($(wc -l <"$TMP/rows") >= 15))
    security_parts >>"$TMP/rows"
    (($(wc -l <"$TMP/rows") >= 70))
    while IFS= read -r row; do
        echo "$row"
        grep -qE '`[a-z_]+: |`tests/[a-z_/]+\.(bats|c)`|Nothing tests that|:$' <<<"$row" # of what the kernel permits
    done <"$TMP/rows"
    tr '\n' ' ' <"$ROOT/SECURITY.md" | tr -s ' ' | grep -oE '`[a-z_]+: [^`]+`' | tr -d '`' | grep -vE '^command: ' >"$TMP/named"
    while IFS= read -r row; do
        file=${row%%: *} name=${row#*: }
        echo "tests/$file.bats: $name"
        grep -qF "@test \"$name\"" "$ROOT/tests/$file.bats"
    done <"$TMP/named"
    for file in $(grep -oE '`tests/[a-z_/]+\.(bats|c)`' "$ROOT/SECURITY.md" | tr -d '`'); do
        echo "$file"
        [[ -f $ROOT/$file ]]
    done
}
