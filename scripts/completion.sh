#!/bin/sh
# completion.sh bash|zsh|fish [PATH OF sshim] - prints the completion of that shell, made from 'sshim help'.
#
# So the commands and options are those of the program's own tables; tests/install.bats compares them.
set -eu

shell=$1
sshim=${2:-build/sshim}

# The help as lines "command NAME TEXT" and "option COMMANDS SHORT LONG ARGUMENT TEXT", separated by tabs.
# Options of run have run as their command; of the others the text begins with the commands ("scale, drain: ..."),
# and * is all others.
table() {
    "$sshim" help | awk -v OFS='\t' '
        function flush() {
            if (long == "") return
            commands = part == "run" ? "run" : about(text)
            if (part == "others") sub(/^[a-z]+(, [a-z]+)*: /, "", text)
            print "option", commands, short, long, argument, text
            long = ""
        }
        function about(text,  commands, names) { # the commands of "restart: ...; scale, drain: ..."
            text = "; " text
            while (match(text, /; [a-z]+(, [a-z]+)*( --[a-z]+)?: /)) {
                names = substr(text, RSTART + 2, RLENGTH - 4); text = substr(text, RSTART + RLENGTH)
                sub(/ --.*/, "", names); gsub(/,/, "", names); commands = commands (commands == "" ? "" : " ") names
            }
            return commands == "" ? "*" : commands
        }
        function take(words) { text = text (text == "" || words == "" ? "" : " ") words }
        /^(usage:)? +sshim [a-z]+ / && !part {
            if (!column) { match($0, /[^ ]  +[a-z]/); column = RSTART + RLENGTH - 1 }
            sub(/^usage:/, "      "); print "command", $2, substr($0, column); next
        }
        /^options of run:/ { part = "run"; next }
        /^options of the other/ { part = "others"; next }
        /^$/ || !part { flush(); if (part == "run") part = "between"; next }
        part == "between" { next }
        match($0, /^ +(-[a-z], )?--[a-z-]+/) && RLENGTH < 30 {
            head = substr($0, 1, RLENGTH); rest = substr($0, RLENGTH + 1)
            flush()
            short = match(head, /-[a-z],/) ? substr(head, RSTART, 2) : ""
            sub(/^.*--/, "--", head); long = head
            argument = text = ""
            if (match(rest, /^ [^ ]+/)) { argument = substr(rest, 2, RLENGTH - 1); rest = substr(rest, RLENGTH + 1) }
            sub(/^ +/, "", rest); take(rest); next
        }
        { sub(/^ +/, ""); take($0) }
        END { flush() }'
}

# A value is a file, a name of an instance, or something else.
# shellcheck disable=SC2016 # a program of awk
kinds='
    function kind(argument, long) {
        if (long == "--name") return "name"
        if (argument ~ /^(FILE|PATH|FOLDER)/) return argument ~ /^FOLDER/ ? "folder" : "file"
        return argument == "" ? "" : "other"
    }
    function is_of(commands, command) {
        return commands == "*" ? command != "run" : index(" " commands " ", " " command " ") > 0
    }
    BEGIN { FS = "\t" }
    $1 == "command" { names[++count] = $2; about[$2] = $3 }
    $1 == "option" { n++; commands[n] = $2; short[n] = $3; long[n] = $4; argument[n] = $5; text[n] = $6 }'

instances="sshim list 2>/dev/null | awk 'NR > 1 { print \$1 }'"

for_bash() {
    table | awk -v instances="$instances" "$kinds"'
        END {
            print "# Completion of sshim for bash, made by scripts/completion.sh."
            print "_sshim() {"
            print "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words i"
            print "    COMPREPLY=()"
            printf "    if ((COMP_CWORD == 1)); then\n        mapfile -t COMPREPLY < <(compgen -W \""
            for (i = 1; i <= count; i++) printf "%s%s", (i > 1 ? " " : ""), names[i]
            print "\" -- \"$cur\")\n        return\n    fi"
            print "    for ((i = 2; i < COMP_CWORD; i++)); do # behind -- stands another command"
            print "        [[ ${COMP_WORDS[i]} == -- ]] || continue"
            print "        if declare -F _command_offset >/dev/null; then"
            print "            _command_offset $((i + 1))"
            print "        else"
            print "            mapfile -t COMPREPLY < <(compgen -c -f -- \"$cur\")"
            print "        fi\n        return\n    done"
            print "    case $prev in"
            for (i = 1; i <= n; i++) if (argument[i] != "" && !seen[long[i]]++) of[kind(argument[i], long[i])] = of[kind(argument[i], long[i])] "|" long[i] (short[i] == "" ? "" : "|" short[i])
            printf "    %s) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") && return ;;\n", substr(of["file"], 2)
            printf "    %s) mapfile -t COMPREPLY < <(compgen -d -- \"$cur\") && return ;;\n", substr(of["folder"], 2)
            printf "    %s) mapfile -t COMPREPLY < <(compgen -W \"$(%s)\" -- \"$cur\") && return ;;\n", substr(of["name"], 2), instances
            printf "    %s) return ;;\n", substr(of["other"], 2)
            print "    esac\n    case ${COMP_WORDS[1]} in"
            for (c = 1; c <= count; c++) {
                printf "    %s) words=\"", names[c]
                for (i = 1; i <= n; i++) if (is_of(commands[i], names[c])) printf "%s ", (short[i] == "" ? "" : short[i] " ") long[i]
                print (names[c] ~ /^(run|check)$/ ? "-- " : "") "\" ;;"
            }
            print "    esac"
            print "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n}\ncomplete -F _sshim sshim"
        }'
}

for_zsh() {
    table | awk -v instances="$instances" "$kinds"'
        function quoted(words) { gsub(/\047/, "\047\\\047\047", words); gsub(/:|\[|\]/, "\\\\&", words); return words }
        END {
            print "#compdef sshim\n# Completion of sshim for zsh, made by scripts/completion.sh."
            print "_sshim_instances() { compadd -- $(" instances ") }\n_sshim() {\n    local -a commands\n    commands=("
            for (i = 1; i <= count; i++) printf "        \047%s:%s\047\n", names[i], quoted(about[names[i]])
            print "    )\n    if ((CURRENT == 2)); then\n        _describe command commands\n        return\n    fi"
            print "    local command=$words[2]\n    shift words\n    ((CURRENT--))\n    case $command in"
            action["file"] = "_files"; action["folder"] = "_files -/"; action["name"] = "_sshim_instances"; action["other"] = " "
            for (c = 1; c <= count; c++) {
                printf "    %s)\n        _arguments", names[c]
                for (i = 1; i <= n; i++) if (is_of(commands[i], names[c])) {
                    value = argument[i] == "" ? "" : ":" quoted(argument[i]) ":" action[kind(argument[i], long[i])]
                    help = "[" quoted(text[i]) "]" value "\047"
                    many = text[i] ~ /may be repeated/
                    if (short[i] == "") printf " \\\n            \047%s%s%s", many ? "*" : "", long[i], help
                    else printf " \\\n            \047(%s %s)\047{%s,%s}\047%s", short[i], long[i], short[i], long[i], help
                }
                print (names[c] ~ /^(run|check)$/ ? " \\\n            \047*::command:_normal\047" : "") "\n        ;;"
            }
            print "    esac\n}\n_sshim \"$@\""
        }'
}

for_fish() {
    table | awk -v instances="$instances" "$kinds"'
        function quoted(words) { gsub(/\\/, "\\\\", words); gsub(/\047/, "\\\047", words); return "\047" words "\047" }
        END {
            print "# Completion of sshim for fish, made by scripts/completion.sh."
            print "complete -c sshim -n \047not __fish_seen_subcommand_from --\047 -f"
            for (i = 1; i <= count; i++) printf "complete -c sshim -n __fish_use_subcommand -a %s -d %s\n", names[i], quoted(about[names[i]])
            print "complete -c sshim -n \047contains -- -- (commandline -opc)\047 -x -a \047(__fish_complete_subcommand --fcs-skip=2)\047"
            takes["file"] = " -r -F"; takes["folder"] = " -x -a \047(__fish_complete_directories)\047"; takes["other"] = " -x"
            takes["name"] = " -x -a " quoted("(" instances ")"); takes[""] = ""
            for (i = 1; i <= n; i++) {
                of = ""
                for (c = 1; c <= count; c++) if (is_of(commands[i], names[c])) of = of " " names[c]
                printf "complete -c sshim -n \047__fish_seen_subcommand_from%s; and not contains -- -- (commandline -opc)\047 -l %s%s%s -d %s\n", of,
                    substr(long[i], 3), short[i] == "" ? "" : " -s " substr(short[i], 2), takes[kind(argument[i], long[i])], quoted(text[i])
            }
        }'
}

case $shell in
bash | zsh | fish) "for_$shell" ;;
*) echo "completion.sh: no completion for '$shell'; give bash, zsh or fish" >&2 && exit 2 ;;
esac
