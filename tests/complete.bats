# Half a change fails by name: an option, a command, a message or a hooked call that was added in one place only.
# CONTRIBUTING.md walks through each of the four.

load places

setup() {
    TMP=$(mktemp -d /tmp/sshim-t.XXXXXX)
}

teardown() {
    rm -rf "$TMP"
}

# Names of an X-macro: X(name, ...) or X(type, name, ...), from its #define to the first line that is not continued.
macro_names() { # MACRO FILE FIELD
    sed -n "/#define $1(X)/,/[^\\\\]\$/p" "$2" | grep -oE 'X\([^()]*' | sed 's/^X(//' | cut -d, -f"$3" | tr -d ' '
}

same() { # FILE FILE: what is in one of them only, by name
    sort -u "$1" >"$TMP/left"
    sort -u "$2" >"$TMP/right"
    [[ -s $TMP/left ]]
    diff "$TMP/left" "$TMP/right"
}

@test "each command is in the list, in main.c, in --help and in sshim(1)" {
    macro_names COMMANDS "$ROOT/broker/cli/options/rows.h" 1 >"$TMP/commands"
    sed -nE 's/^static int command_([a-z_]+)\(.*/\1/p' "$ROOT/broker/main.c" >"$TMP/main"
    same "$TMP/commands" "$TMP/main"
    "$SSHIM" --help | sed -nE 's/^(usage:| +) ?sshim ([a-z]+)( .*)?$/\2/p' >"$TMP/help"
    same "$TMP/commands" "$TMP/help"
    local command
    while read -r command; do
        echo "$command"
        grep -qE "^\.Cm $command" "$ROOT/man/sshim.1"
    done <"$TMP/commands"
}

run_options() { # each option of run with its argument, if it takes one
    "$SSHIM" --help | sed -n '/^options of run:/,/^$/p' | sed -nE 's/^ *(-[a-z], )?--([a-z-]+)( ([^ ]+))?( .*)?$/\2 \4/p' | grep -v '^help '
}

value_for() { # ARGUMENT of an option: one that it takes
    case $1 in
    '') echo yes ;;
    WAY) echo preload ;;
    WHEN) echo accept ;;
    MODE) echo broker ;;
    POLICY) echo source ;;
    WHAT) echo exit ;;
    FORM) echo json ;;
    KIND*) echo data ;;
    VERSION*) echo none ;;
    IPV4*) echo 24,48 ;;
    NETWORK*) echo 192.0.2.0/24 ;;
    HOW) echo rst ;;
    USER | GROUP) id -un ;;
    NAME=VALUE) echo A=2 ;;
    MS) echo 20 ;;
    TIME) echo 2h ;;
    SIZE) echo 2M ;;
    NAME=SOFT*) echo core=0 ;;
    APP=REAL) echo 8080=80 ;;
    FOLDER) echo /tmp ;;
    RIGHTS) echo 027 ;;
    *) echo 2 ;;
    esac
}

# What `run --dry-run` prints as it comes from a source.
shows() { # SOURCE OPTION...
    local source=$1
    shift
    "$SSHIM" run --dry-run "$@" -- true | grep -F "  # $source" >/dev/null
}

@test "each option of run is a variable of the environment and a name in a file" {
    local option argument value variable
    run_options >"$TMP/options"
    sed -n '/^static const struct option_row run_rows/,/^};/p' "$ROOT/broker/cli/options/rows.c" | sed -nE 's/^    \{"([a-z-]+)".*/\1/p' >"$TMP/rows"
    sed 's/ .*//' "$TMP/options" >"$TMP/names"
    same "$TMP/rows" "$TMP/names"
    while read -r option argument; do
        echo "$option"
        value=$(value_for "$argument")
        variable=SSHIM_$(tr a-z- A-Z_ <<<"$option")
        ! grep -q "^| .*\`$variable\`" "$ROOT/PROTOCOL.md" || false # it has no other meaning
        printf '%s = %s\n' "$option" "$value" >"$TMP/file.conf"
        case $option in
        config | dry-run) continue ;; # these are about the others
        user | group) [[ $(id -u) == 0 ]] || continue ;;
        esac
        env "$variable=$value" bash -c "$(declare -f shows); SSHIM=$SSHIM shows $variable"
        shows "$TMP/file.conf:1" --config "$TMP/file.conf"
    done <"$TMP/options"
    printf 'workers = 2\n' >"$TMP/file.conf"
    SSHIM_CONFIG=$TMP/file.conf shows "$TMP/file.conf:1"
    SSHIM_DRY_RUN=yes "$SSHIM" run -- true | grep '^workers = '
}

@test "each command that is sent as a line is answered by the broker, and each answer is a command" {
    # check, help, list, run and version need no broker; list is answered for programs all the same
    grep -A 8 '^static int command_' "$ROOT/broker/main.c" |
        awk '/^static int command_/ { name = $3; sub(/^command_/, "", name); sub(/\(.*/, "", name) } /return ask\(/ { print name }' >"$TMP/asked"
    printf '%s\n' list events >>"$TMP/asked"
    sed -n '/^} commands\[\] = {/,/^};/p' "$ROOT/broker/operate/control.c" | grep -oE '\{"[a-z]+"' | tr -d '{"' >"$TMP/answered"
    same "$TMP/asked" "$TMP/answered"
}

@test "each control command is answered by the broker and asked by the client" {
    local code
    macro_names WIRE_COMMANDS "$ROOT/proto/wire.h" 1 >"$TMP/codes"
    [[ -s $TMP/codes ]]
    while read -r code; do
        echo "WIRE_COMMAND_$code"
        grep -q "case WIRE_COMMAND_$code:" "$ROOT/broker/operate/control.c"
        grep -rq "WIRE_COMMAND_$code\>" "$ROOT/broker/main.c" "$ROOT/broker/cli" "$ROOT/broker/operate/takeover.c"
    done <"$TMP/codes"
}

# Where a message of WIRE_TYPES is sent and received, by the last column of its row.
folders_of() { # "broker, channel"
    case $1 in
    worker* | 'broker, link' | 'broker, channel') echo broker shim ;;
    operator*) echo broker/cli broker/operate ;;
    answer) echo broker/pool broker/cli ;;
    *) echo broker/operate ;;
    esac
}

@test "each message is sent and received, and has its place in PROTOCOL.md" {
    local name who folder
    sed -nE 's|^ *X\(([A-Z]+), .*/\* ([a-z ,]+) \*/.*|\1 \2|p' "$ROOT/proto/wire.h" >"$TMP/messages"
    (($(wc -l <"$TMP/messages") >= 12))
    while read -r name who; do
        case $name in TEXT | RESULT) who=answer ;; esac
        for folder in $(folders_of "$who"); do
            echo "WIRE_$name in $folder"
            grep -rqE "\bWIRE_$name\b|X\([A-Z]+, $name, " "$ROOT/$folder" # by itself, or in a table of what is permitted
        done
        grep -q "^### $name " "$ROOT/PROTOCOL.md"
    done <"$TMP/messages"
}

# "STATE MESSAGE" of an X-macro: X(STATE, MESSAGE, function).
permitted_by() { # MACRO FILE
    sed -n "/#define $1(X)/,/[^\\\\]\$/p" "$2" | sed -nE 's/.*X\(([A-Z]+), ([A-Z]+), .*/\1 \2/p'
}

# The same of the table whose heading has this column: a row's first cell is the state, its cell in that column has the messages.
permitted_in() { # COLUMN
    awk -F '|' -v column="$1" '
        /^\| state / { at = 0; for (i = 1; i <= NF; i++) if ($i == " " column " ") at = i; next }
        /^\|--/ { next }
        /^\|/ && at { state = toupper($2); gsub(/ /, "", state); cell = $at; gsub(/\([^)]*\)/, "", cell)
            count = split(cell, words, /[^A-Z]+/); for (i = 1; i <= count; i++) if (length(words[i]) > 1) print state, words[i]; next }
        { at = 0 }' "$ROOT/PROTOCOL.md"
}

@test "what PROTOCOL.md permits in each state is what the broker takes" {
    permitted_by REQUESTS "$ROOT/broker/operate/request.c" >"$TMP/code"
    permitted_in permitted >"$TMP/document"
    same "$TMP/code" "$TMP/document"
    permitted_by MESSAGES "$ROOT/broker/share/channel_messages.c" >"$TMP/code"
    permitted_in 'worker may send' >"$TMP/document"
    same "$TMP/code" "$TMP/document"
}

@test "the states of a link are those of PROTOCOL.md" {
    sed -n '/#define SESSION_STATES(X)/,/[^\\]$/p' "$ROOT/broker/pool/session/session.h" | sed -nE 's/.*X\(([A-Z]+)\).*/\1/p' >"$TMP/code"
    sed -n '/^| state .* permitted /,/^$/p' "$ROOT/PROTOCOL.md" | sed -nE 's/^\| ([a-z]+) .*/\1/p' | grep -v state | tr '[:lower:]' '[:upper:]' >"$TMP/document"
    same "$TMP/code" "$TMP/document"
}

hooked() {
    macro_names NEXT_CALLS "$ROOT/shim/base/next.h" 2
    macro_names NEXT_LARGE_CALLS "$ROOT/shim/base/next.h" 2
    macro_names NEXT_NEW_CALLS "$ROOT/shim/base/next.h" 2
}

exported() {
    nm -D --defined-only "$BUILD/libsshim.so" | sed 's/.* //'
}

@test "each hooked call is in libsshim(7)" {
    # __NAME_chk is the checked form that a hardened build calls
    local name
    GROFF_NO_SGR=1 groff -mandoc -Tascii "$ROOT/man/libsshim.7" | sed 's/.\x08//g' >"$TMP/manual"
    for name in $(hooked | grep . | grep -v '^__' | sort -u); do
        echo "$name"
        grep -qw "$name" "$TMP/manual"
    done
}

@test "each call of the table is exported, and each exported call is in the table" {
    # these go on by one of the table: libc has no next one to be called
    printf '%s\n' execl execle execlp execv execvp >"$TMP/others"
    hooked | grep . | cat - "$TMP/others" >"$TMP/table"
    exported >"$TMP/exported"
    same "$TMP/table" "$TMP/exported"
}

# dlsym(3) allocates for a name that is not there, and may be called from inside an allocator.
@test "each call that is looked up at start is in this libc" {
    local libc
    libc=$(ldd "$BUILD/libsshim.so" | sed -nE 's/.*libc\.so\.6 => ([^ ]+) .*/\1/p')
    [[ -e $libc ]]
    nm -D --defined-only "$libc" | sed -E 's/.* //; s/@.*//' | sort -u >"$TMP/libc"
    { macro_names NEXT_CALLS "$ROOT/shim/base/next.h" 2 && macro_names NEXT_LARGE_CALLS "$ROOT/shim/base/next.h" 2; } |
        grep . | sort -u >"$TMP/table"
    echo "not in libc: $(comm -23 "$TMP/table" "$TMP/libc" | xargs)"
    [[ -z $(comm -23 "$TMP/table" "$TMP/libc") ]]
}

@test "each call of the table that has a number is known by its number" {
    # fork and its kind cannot be made by number through syscall(3): the child would return into this frame
    printf '%s\n' syscall fork prlimit setrlimit remove recv >"$TMP/without"
    hooked | grep . | sort -u | grep -vxFf "$TMP/without" >"$TMP/named"
    printf '#include <sys/syscall.h>\n' | gcc -E -dM - | sed -nE 's/^#define SYS_([a-z0-9_]+) .*/\1/p' | sort -u >"$TMP/numbers"
    comm -12 "$TMP/named" "$TMP/numbers" >"$TMP/expected"
    [[ -s $TMP/expected ]]
    grep -ohE 'case SYS_[a-z0-9_]+' "$ROOT"/shim/hooks/*.c | sed 's/case SYS_//' | sort -u >"$TMP/known"
    echo "has a number and no case: $(comm -23 "$TMP/expected" "$TMP/known" | xargs)"
    [[ -z $(comm -23 "$TMP/expected" "$TMP/known") ]]
}

@test "each reason for which the broker closes a connection is a metric" {
    macro_names HELD_CLOSINGS "$ROOT/broker/handout/front/held.h" 1 >"$TMP/names"
    sed -n '/#define HELD_CLOSINGS(X)/,/[^\\]$/p' "$ROOT/broker/handout/front/held.h" | grep -o '"[a-z_]*"' >"$TMP/fields"
    [[ $(wc -l <"$TMP/names") == $(wc -l <"$TMP/fields") ]]
    sed -n '/^static const char \*const closings/,/;/p' "$ROOT/observe/exposition.c" | grep -o '"[a-z_]*"' >"$TMP/metrics"
    same "$TMP/fields" "$TMP/metrics"
}
