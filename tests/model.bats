# The model of the life of a slot (tests/model/slot.pml), its table in slot.h and the broker's functions say the same.
load helpers

TABLE=$ROOT/broker/life/slot.h
MODEL=$ROOT/tests/model/slot.pml

# rows_of_table FILE: "worker | successor | event", sorted
rows_of_table() {
    sed -nE 's/^ \*   - ([a-z]+) *\| ([a-z]+) *\| ([^|]*[^ |]) *\|.*/\1 | \2 | \3/p' "$1" | sort
}

rows_of_model() {
    grep -oE 'row: [a-z]+ \| [a-z]+ \| [^:]+:' "$1" | sed -E 's/^row: //; s/:$//' | sort
}

# functions_that_fill FOLDER: of the broker, each that puts a worker into a slot, moves it or takes it out
functions_that_fill() {
    find "$1" -name '*.c' -exec awk '
        /^[a-z].*\(/ && !/;$/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
        /(slot|other|slot_at\([a-z]+\))->(worker|successor) = / { print name }' {} + | sort -u
}

missing_in_model() { # MODEL
    local name
    for name in $(functions_that_fill "$ROOT/broker"); do
        grep -qF "$name()" "$1" || echo "$name"
    done
}

@test "the table of a slot's life and the model have the same rows" {
    [[ $(rows_of_table "$TABLE" | wc -l) -ge 10 ]]
    diff <(rows_of_table "$TABLE") <(rows_of_model "$MODEL")
}

@test "each row of the model names functions that the broker has" {
    local name names
    names=$(grep -E 'row: ' "$MODEL" | grep -oE '[a-z_]+\(\)' | tr -d '()' | sort -u)
    [[ $(wc -w <<<"$names") -ge 10 ]]
    for name in $names; do
        grep -rqE "^[a-z].*\b$name\(" "$ROOT/broker" || { echo "$name is in no file of the broker"; return 1; }
    done
}

@test "each function that fills or empties a slot is in the model" {
    [[ $(functions_that_fill "$ROOT/broker" | wc -l) -ge 8 ]]
    [[ -z $(missing_in_model "$MODEL") ]] || { missing_in_model "$MODEL"; return 1; }
}

@test "a row or a function that only one side has is found" {
    grep -v 'it listens' "$TABLE" >"$TMP/slot.h"
    run diff <(rows_of_table "$TMP/slot.h") <(rows_of_model "$MODEL")
    [[ $status == 1 && $output == *"starting | none | it listens" ]]
    grep -v 'promote()' "$MODEL" >"$TMP/slot.pml"
    [[ $(missing_in_model "$TMP/slot.pml") == promote ]]
}
