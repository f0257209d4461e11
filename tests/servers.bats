# servers.bats - real servers, three copies each: every probe is answered rightly, every copy serves, a clean stop leaves
# nothing. scripts/server-try.sh does and checks all of it; here is what each server is there for.
# These are small to install; make servers tries them and all others of tests/servers.

bats_require_minimum_version 1.5.0

setup_file() {
    export ROOT=$BATS_TEST_DIRNAME/..
}

# A server that cannot be installed is no success.
serves() {
    run "$ROOT/scripts/servers.sh" "$1" 3>&-
    echo "$output"
    [ "$status" = 0 ]
    [ "${lines[-1]}" = "1 passed, 0 failed, 0 skipped" ]
}

@test "python, blocking accept: three copies serve and stop" { serves py-blocking; }
@test "python, selectors poll: three copies serve and stop" { serves py-socketserver; }
@test "python, poll and a thread per connection: three copies serve and stop" { serves py-httpserver; }
@test "python, asyncio on epoll: three copies serve and stop" { serves py-asyncio; }
@test "tcl, select in another thread than accept: three copies serve and stop" { serves tcl; }
@test "perl, blocking accept, fork per connection: three copies serve and stop" { serves perl-iosocket-fork; }
@test "C, epoll: three copies of nginx serve and stop" { serves nginx-single; }
@test "C, epoll, non-blocking after listen: three copies of lighttpd serve and stop" { serves lighttpd; }
@test "C, one of several pre-fork children: three copies of apache serve and stop" { serves apache-X; }
@test "C, poll on TCP and UDP: three copies of dnsmasq serve and stop" { serves dnsmasq; }
@test "C, the listener on fd 0, a child per connection: three copies of busybox httpd serve and stop" { serves busybox-httpd; }
@test "C, inetd-like, closes fd 0 and execs another program: three copies of tcpserver serve and stop" { serves micro-httpd-tcpserver; }
@test "C, listens in a grandchild: three copies of git daemon serve and stop" { serves git-daemon; }
@test "C, executes itself for each connection: three copies of sshd serve and stop" { serves sshd; }
@test "C, opens data listeners in a child: three copies of vsftpd serve and stop" { serves vsftpd; }
@test "C, ends after one connection: three copies of socat are started again and again" { serves socat-once; }
@test "C, state in memory: one copy of redis serves and stops" { serves redis; }

# What the verdicts above are worth.

fake_recipe() { # NAME, body of start on stdin
    {
        echo '#!/bin/sh'
        echo "# server: $1   class: A   debian: python3"
        echo 'start() {'
        cat
        echo '}'
        echo 'probe() { [ "$(curl -sS -m 5 "telnet://127.0.0.1:$1" </dev/null)" = hello ]; }'
        echo '"$@"'
    } >"$BATS_TEST_TMPDIR/$1.sh"
}

python_server() { # statement run once it listens, statement for each connection c
    cat <<P
exec python3 -c 'import os, socket, subprocess, sys
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
$1
while True:
    c, a = s.accept()
    $2
    c.close()' "\$1"
P
}

try_fake() {
    run "$ROOT/scripts/server-try.sh" "$BATS_TEST_TMPDIR/$1.sh" 3>&-
    echo "$output"
}

@test "the trial passes a server that answers" {
    python_server 'pass' 'c.sendall(b"hello")' | fake_recipe good
    try_fake good
    [ "$status" = 0 ]
}

@test "the trial fails a server of which one copy answers wrongly" {
    python_server 'mine = b"hello" if os.environ["SSHIM_WORKER_ID"] == "0" else b"what"' 'c.sendall(mine)' | fake_recipe wrong
    try_fake wrong
    [ "$status" = 1 ]
    [[ $output == *"probe "*" failed"* ]]
}

@test "the trial fails a server that never listens" {
    echo 'exit 1' | fake_recipe never
    try_fake never
    [ "$status" = 1 ]
    [[ $output == *"ended before it was ready"* ]]
}

# What some servers do, and no recipe at hand does.

@test "copies that go into the background and overwrite their environment keep their slots" {
    python_server '
import ctypes
done, tell = os.pipe()
if os.fork(): os.read(done, 1); os._exit(0)
fields = open("/proc/self/stat").read().rpartition(")")[2].split()
begin, end = int(fields[47]), int(fields[48])
ctypes.memset(begin, 0, end - begin)
os.write(tell, b".")' 'c.sendall(b"hello")' | fake_recipe background
    try_fake background
    [ "$status" = 0 ]
}

# The program that accepts is another one than the one that listens, and starts with an empty environment.
child='import socket, sys
s = socket.socket(fileno=int(sys.argv[1]))
while True:
    c, a = s.accept()
    c.sendall(b"hello")
    c.close()'

@test "a listener handed down by exec with an empty environment stays shared" {
    python_server "
os.set_inheritable(s.fileno(), True)
os.execve(sys.executable, [sys.executable, \"-c\", \"\"\"$child\"\"\", str(s.fileno())], {})" 'pass' | fake_recipe exec
    try_fake exec
    [ "$status" = 0 ]
}

@test "a listener handed to a vfork child with an empty environment stays shared" {
    python_server "
child = subprocess.Popen([sys.executable, \"-c\", \"\"\"$child\"\"\", \"0\"], stdin=s, env={}, close_fds=True)
child.wait()" 'pass' | fake_recipe vfork
    try_fake vfork
    [ "$status" = 0 ]
}
