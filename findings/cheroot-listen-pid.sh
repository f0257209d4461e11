#!/usr/bin/env bash
# cheroot 9.0.0 (the server of CherryPy): if LISTEN_PID is set at all, to whatever process, it serves on descriptor 3.
#
# The protocol of socket activation has LISTEN_PID so that a process that merely inherits the variables can tell that they are meant
# for another. cheroot looks only whether the variable exists; it looks at LISTEN_FDS not at all, and drops the address that it was told.
# One would guess: variables of another pid are ignored, as sd_listen_fds() does. A CherryPy program that an activated service starts as
# a helper serves on its parent's socket instead of its own port.
source "$(dirname "$0")/common.sh"

unpack_debs python3-cheroot python3-jaraco.functools python3-more-itertools python3-six
cat >"$work/server.py" <<'PY'
import os, sys
from cheroot import wsgi
asked = int(sys.argv[1])
server = wsgi.Server(("127.0.0.1", asked), lambda environ, respond: [])
server.prepare()
print("the address asked for" if server.socket.getsockname()[1] == asked else "descriptor 3", flush=True)
os._exit(0)
PY
serve() { # ASSIGNMENT...
    env "$@" PYTHONPATH="$work/root/usr/lib/python3/dist-packages" timeout 20 \
        python3 "$here/with_fds.py" 3 0 env "$@" /usr/bin/python3 "$work/server.py" "$(free_port)"
}
expect 'no LISTEN_PID: it serves on' "$(serve -u LISTEN_PID)" 'the address asked for'
expect "LISTEN_PID of init: it serves on" "$(serve LISTEN_PID=1 LISTEN_FDS=1)" 'descriptor 3'
expect "LISTEN_PID of init and no LISTEN_FDS: it serves on" "$(serve -u LISTEN_FDS LISTEN_PID=1)" 'descriptor 3'
finish
