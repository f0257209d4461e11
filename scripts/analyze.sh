#!/usr/bin/env bash
# analyze.sh FOLDER FILES - judges what the analysers wrote into FOLDER/TOOL/*.txt about FILES source files each.
#
# Prints each finding that no line of tests/analyze/known.txt explains, and each line there that explains nothing any
# more. The last line is "N files, N tools, N findings, N of them known"; exit code 1 if one is new or a line is stale.
set -uo pipefail

folder=$1
files=$2
known=$(dirname "$0")/../tests/analyze/known.txt

# "TOOL FILE CHECKER | TEXT | PLACE", each once
list_findings() {
    local tool
    for tool in "$folder"/*/; do
        tool=$(basename "$tool")
        find "$folder/$tool" -name '*.txt' -exec cat {} + | sed -nE \
            "s/^([^ :]+):([0-9]+):[0-9]+: (warning|error): (.*) \[([^]]+)\]\$/$tool \1 \5 | \4 | \1:\2/p"
    done | sort -u
}

for tool in "$folder"/*/; do
    written=$(find "$tool" -name '*.txt' | wc -l)
    ((written >= files)) || { echo "analyze: $tool has $written results of $files" >&2; exit 1; }
done

list_findings | awk -F ' *[|] *' -v list="$known" -v files="$files" '
    BEGIN {
        while ((getline line < list) > 0) {
            if (line ~ /^#/ || line == "")
                continue
            parts = split(line, part, / *[|] */)
            if (parts < 3 || part[3] == "") {
                print "known.txt: a line without a reason: " line
                bad++
                continue
            }
            key[++count] = part[1]
            text[count] = part[2]
        }
    }
    {
        all++
        for (i = 1; i <= count; i++)
            if ($1 == key[i] && index($2, text[i])) {
                used[i] = 1
                explained++
                next
            }
        split($1, what, " ")
        print $3 ": " $2 " [" what[1] " " what[3] "]"
        bad++
    }
    END {
        for (i = 1; i <= count; i++)
            if (!used[i]) {
                print "known.txt: explains no finding any more: " key[i] " | " text[i]
                bad++
            }
        printf "%d files, 3 tools, %d findings, %d of them known\n", files, all, explained
        exit bad > 0
    }'
