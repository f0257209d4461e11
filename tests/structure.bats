# The structure that ARCHITECTURE.md describes: few rooms on each level, and everything points downward.

load places

setup() {
    TMP=$(mktemp -d /tmp/sshim-t.XXXXXX)
}

teardown() {
    rm -rf "$TMP"
}

# The rooms of a folder: its folders, and its files, where a .c and its .h are one.
rooms() { # FOLDER
    find "$1" -mindepth 1 -maxdepth 1 \( -type d -o -name '*.[ch]' \) -printf '%f\n' | sed -E 's/\.[ch]$//' | sort -u
}

# Pairs "who what" of all includes below a folder of the checkout, without their endings.
includes() { # FOLDER
    (cd "$ROOT" && grep -rho --include='*.[ch]' -H '#include "[a-z_/]*\.h"' "$1") |
        sed -E 's|^(.*)\.[ch]:#include "(.*)\.h"$|\1 \2|' | awk '$1 != $2'
}

# The object files of the sources below these folders: a build folder may have older ones.
objects() { # FOLDER...
    (cd "$ROOT" && find "$@" -name '*.c' | sort | sed 's/c$/o/')
}

# Pairs "who what" by the symbols that object files need and define.
needs() { # BUILD-FOLDER FOLDER...
    cd "$1" || return
    objects "${@:2}" | xargs nm -A --defined-only -g | sed -E 's|^([^:]*)\.o:[0-9a-f]* [A-Z] (.*)$|\2 \1|' |
        sort >"$TMP/defined"
    objects "${@:2}" | xargs nm -A -u | sed -E 's|^([^:]*)\.o: +U (.*)$|\2 \1|' | sort >"$TMP/used"
    join "$TMP/used" "$TMP/defined" | awk '$2 != $3 { print $2, $3 }' | sort -u
}

# Pairs of files become pairs of their folders.
folders() {
    sed -E 's|/[^/ ]+ | |; s|/[^/ ]+$||' | awk '$1 != $2' | sort -u
}

# Fails and shows the circle, if there is one.
goes_down() {
    cat >"$TMP/pairs"
    [[ $(wc -l <"$TMP/pairs") -ge ${1:-1} ]]
    tsort <"$TMP/pairs" 2>&1 >/dev/null | tee "$TMP/circle"
    [[ ! -s $TMP/circle ]]
}

@test "a folder has at most ten rooms" {
    local folder
    for folder in $(cd "$ROOT" && find proto shim broker observe -type d); do
        echo "$folder: $(rooms "$ROOT/$folder" | xargs)"
        (($(rooms "$ROOT/$folder" | wc -l) <= 10))
    done
}

@test "the guard of a header is named as its file" {
    local file
    cd "$ROOT"
    while read -r file; do
        grep -qx "#ifndef SSHIM_$(tr 'a-z/' 'A-Z_' <<<"${file%.h}")_H" "$file" || { echo "$file"; false; }
    done < <(find proto shim broker observe -name '*.h')
}

@test "includes go downward between files" {
    includes broker | goes_down 100
    includes shim | goes_down 50
    includes proto | goes_down
    includes observe | goes_down
}

@test "includes go downward between folders" {
    includes broker | folders | goes_down 10
    includes shim | folders | goes_down 5
}

@test "no circle of files or folders for the linker" {
    needs "$BUILD/obj" broker proto >"$TMP/broker"
    goes_down 100 <"$TMP/broker"
    folders <"$TMP/broker" | goes_down 10
    needs "$BUILD/pic" shim proto >"$TMP/shim"
    goes_down 50 <"$TMP/shim"
    folders <"$TMP/shim" | goes_down 5
}

@test "a circle is found" {
    run goes_down < <(printf 'a/x b/y\nb/y c/z\nc/z a/x\n')
    ((status != 0))
    run goes_down < <(printf 'a/x b/y\nb/z a/w\n' | folders)
    ((status != 0))
    printf 'a/x b/y\nb/z a/w\n' | goes_down
}

@test "broker and library never include each other" {
    local crossing
    crossing=$(grep -rn '#include "shim/' "$ROOT/broker" "$ROOT/proto" || true)
    crossing+=$(grep -rn '#include "broker/' "$ROOT/shim" "$ROOT/proto" || true)
    crossing+=$(grep -rnE '#include "(broker|shim|proto)/' "$ROOT/observe" || true)
    crossing+=$(grep -rn '#include "observe/' "$ROOT/broker" "$ROOT/shim" "$ROOT/proto" || true)
    echo "$crossing"
    [[ -z $crossing ]]
}

# A field that the snapshot tells is changed by a setter that notes it in the journal, or read from a snapshot.
assert_written_only_in() { # STRUCT FIELDS FILES
    local found
    found=$(cd "$ROOT" || exit; grep -rnE --include='*.[ch]' "\<$1->($2)( = |\+\+|--| [+|-]= )|(\+\+|--)$1->($2)\>" broker | grep -vE "^broker/($3):" || true)
    echo "$found"
    [[ -z $found ]]
}

@test "what a crash must not forget of a worker is changed by setters alone" {
    assert_written_only_in worker 'slot|state|pid|stopped|held|ready_ms|started_ms|port_zero_claims' 'pool/worker.c|survive/state_load.c'
    assert_written_only_in belief '[a-z_]+' 'pool/belief.c'
    run assert_written_only_in worker 'stuck' 'none'
    ((status != 0))
}

# "FIELDS WRITER" of a struct whose header names the writer of each part: before a row of fields, or behind a struct in it.
writers() { # STRUCT HEADER
    awk -v begin="struct $1 {" '
        $0 == begin { inside = 1; next }
        /^};/ { inside = 0 }
        !inside { next }
        match($0, /[Ww]ritten by [a-z_\/]+\.c/) { said = substr($0, RSTART + 11, RLENGTH - 11) }
        /^    struct \{/ { nested = 1; next }
        /^    \}/ { sub(/^    \} /, ""); sub(/;.*/, ""); print $0 "\\.[a-z_.]+", said; nested = 0; next }
        nested { next }
        /^    struct [a-z]+ [a-z]+; \/\* written by/ { sub(/;.*/, ""); print $NF "\\.[a-z_.]+", said; next }
        /^    [a-z].*;/ { sub(/;.*/, ""); gsub(/.*[ *(]/, "", $0); sub(/\)/, ""); print $0, said }
    ' "$ROOT/$2"
}

each_has_one_writer() { # STRUCT HEADER
    local fields writer
    writers "$1" "$2" >"$TMP/writers"
    (($(wc -l <"$TMP/writers") >= 15))
    while read -r fields writer; do
        echo "$fields: $writer"
        [[ -e $ROOT/broker/$writer ]]
        assert_written_only_in "$1" "$fields" "$writer"
    done <"$TMP/writers"
}

@test "each field of a listener and of a channel is written by the file that its header names" {
    each_has_one_writer listener broker/pool/listener.h
    each_has_one_writer channel broker/pool/channel.h
    run assert_written_only_in listener 'poll\.[a-z_]+' 'handout/dispatch.c'
    ((status != 0))
}

# kill(-1) by root ends every process of the machine: signal.h refuses numbers that are none of a process.
calls_kill() { # FOLDER
    ! grep -rnE '(^|[^_a-z])kill\(' "$1" --include=*.c | grep -vE '/process/signal\.c:|kill\(getpid\(\), |/\*.*kill\('
}

@test "nobody in the broker calls kill(2) past signal.h, but for its own end" {
    calls_kill "$ROOT/broker"
    mkdir "$TMP/broker"
    echo 'kill(pid, SIGKILL);' >"$TMP/broker/other.c"
    run calls_kill "$TMP/broker"
    ((status != 0))
}

# bash's errexit does not look at a command behind '!': it fails a test, or a function, only as the last one, or by
# what stands behind '||'.
each_denial_counts() { # FILE...
    awk 'FNR > 1 && denial != "" && !/^}/ { print file ": " denial; found = 1 }
        { file = FILENAME; denial = /^ +! / && !/\|\| |&&/ ? $0 : "" }
        END { exit found }' "$@"
}

@test "a test that wants a command to fail says so where it counts" {
    each_denial_counts "$ROOT"/tests/*.bats "$ROOT"/tests/*.bash
    printf '@test "a" {\n    ! true\n    true\n}\n' >"$TMP/other.bats"
    run each_denial_counts "$TMP/other.bats"
    ((status != 0))
}
