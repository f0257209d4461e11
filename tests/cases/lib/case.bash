# shellcheck shell=bash
# case.bash - read by every case: a program and what it does, natively first, then under sshim.
#
# A case defines server(), which becomes the program (the rest of its words are those of start), and try WHAT, which looks
# at it and calls expect. cases WAY... runs it in each way; a WAY is "native" or the options of sshim run.
# Exit code 0: as natively; 1: not; 77: this machine cannot tell, with the reason on the last line.
set -u

sshim=${SSHIM:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)/build/sshim}
work=$(mktemp -d "${TMPDIR:-/tmp}/case.XXXXXX")
chmod 755 "$work"
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
unset SSHIM_BROKER LD_PRELOAD PYTHONUNBUFFERED # with which a line is several writes
running=
failed=0
deadline_s=20

clean_up() {
    end_program
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

skip() { # REASON
    echo "$*"
    exit 77
}

# Fails at the deadline, or when the program has ended.
wait_until() { # COMMAND...
    local end=$((SECONDS + deadline_s))
    until "$@"; do
        ((SECONDS < end)) || return 1
        [[ -z $running ]] || ! is_gone "$running" || return 1
        sleep 0.05
    done
}

# Not of those that the kernel gives to clients: one of them may take it before the server does.
free_port() {
    python3 -c 'import random, socket
while True:
    port = random.randrange(10000, 32000)
    try:
        socket.create_server(("127.0.0.1", port))
        break
    except OSError:
        pass
print(port)'
}

# The end of a server in Python, which has made its listener; for server() in whatever process it runs.
export answer_each='
print("serves", flush=True)
while True:
    client, _ = listener.accept()
    client.sendall(b"served\n")
    client.close()
'

# What is to be seen of such a server, started in this way with its port.
each_copy_serves() { # WAY
    local port
    port=$(free_port)
    start "$1" "$port"
    wait_until says serves "$(copies_of "$1")"
    expect "programs that serve" "$(grep -c serves "$work/out")" "$(copies_of "$1")"
    expect "a client" "$(ask "$port")" served
}

# ask PORT: the first line of the answer, or refused, closed, silent
ask() {
    python3 - "$1" <<'END'
import socket, sys
try:
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 3) as s:
        s.sendall(b"hello\n")
        print(s.recv(200).decode().split("\n")[0] or "closed")
except ConnectionRefusedError:
    print("refused")
except ConnectionError:
    print("closed")
except TimeoutError:
    print("silent")
END
}

answers() { # PORT
    case $(ask "$1") in
    refused | closed | silent) return 1 ;;
    esac
}

expect() { # WHAT GOT PATTERN
    # shellcheck disable=SC2053 # a pattern
    if [[ $2 == $3 ]]; then
        echo "  right: $1: $2"
    else
        echo "  WRONG: $1: $2, not $3"
        failed=1
    fi
}

# start WAY WORDS...: the program in this way. Its output is $work/out.
start() {
    local way=$1
    shift
    : >"$work/out"
    if [[ $way == native ]]; then
        server "$@" >>"$work/out" 2>>"$work/log" </dev/null &
    else
        export -f server
        # shellcheck disable=SC2086 # options
        "$sshim" run --control "$work/control" $way -- bash -c 'server "$@"' _ "$@" >>"$work/out" 2>>"$work/log" </dev/null &
    fi
    running=$!
}

copies_of() { # WAY
    [[ $1 =~ -w\ *([0-9]+) ]] && echo "${BASH_REMATCH[1]}" || echo 1
}

says() { # TEXT [TIMES]
    (($(grep -c -- "$1" "$work/out") >= ${2:-1}))
}

end_program() {
    [[ -n $running ]] || return 0
    if [[ -S $work/control ]]; then
        timeout 30 "$sshim" stop --control "$work/control" >/dev/null 2>&1
    fi
    kill -TERM "$running" 2>/dev/null
    deadline_s=10 wait_until is_gone "$running" || kill -KILL "$running" 2>/dev/null
    wait "$running" 2>/dev/null
    running=
}

is_gone() { # PID
    ! kill -0 "$1" 2>/dev/null
}

cases() { # WAY...
    local way
    for way; do
        echo "$way:"
        try "$way"
        end_program
        if ((failed)); then
            [[ $way != native ]] || skip "it does not behave natively either: this machine cannot tell"
            tail -n 10 "$work/log"
            exit 1
        fi
    done
}
