# shellcheck shell=sh
# recipe.sh - read by every recipe of a real server, before its start() and probe().
#
#   sh NAME.sh start PORT   becomes the server: start() runs in a new folder and ends in exec
#   sh NAME.sh probe PORT   exit code 0: probe() got the right answer on that port
#
# $PROBE_S: seconds that an answer may take.
# Line 2 of a recipe is read by scripts/server-try.sh, line 3 says what the server does that others do not.
# The programs start their server on $port; under sshim their PORT is that of all copies.
# shellcheck disable=SC2034 # for the recipes
# The package's program, not another version that stands before it.
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
port=${2:-}
host=127.0.0.1
address=$host:$port
page=served-by-the-recipe

recipe() { # start|probe PORT
    case ${1:-} in
    start)
        dir=$(mktemp -d "${TMPDIR:-/tmp}/recipe.XXXXXX") && cd "$dir" && chmod 755 . && start
        ;;
    probe) probe ;;
    *)
        echo "usage: $0 start|probe PORT" >&2
        exit 2
        ;;
    esac
}

# What a client says on stdin; what it hears on stdout.
talk() {
    nc -N -w "${PROBE_S:-5}" "$host" "$port"
}

# The server answers one line with a line.
answers() { # LINE ANSWER
    [ "$(printf '%s\n' "$1" | talk)" = "$2" ]
}

# For servers without an answer of their own.
accepts() {
    nc -z -w "${PROBE_S:-3}" "$host" "$port"
}

http_serves() { # PATH
    curl -fsS -m "${PROBE_S:-5}" "http://$address/$1" | grep -q "$page"
}

# Asks for the address of name.test, of which the server says 192.0.2.7.
dns_answers() { # tcp|udp
    python3 - "$1" "$port" <<'END'
import socket, sys
kind, port = sys.argv[1], int(sys.argv[2])
query = b"\0\7\1\0\0\1\0\0\0\0\0\0\4name\4test\0\0\1\0\1"
with socket.socket(type=socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as s:
    s.settimeout(5)
    s.connect(("127.0.0.1", port))
    s.sendall(len(query).to_bytes(2, "big") + query if kind == "tcp" else query)
    sys.exit(bytes([192, 0, 2, 7]) not in s.recv(512))
END
}
