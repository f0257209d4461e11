#!/usr/bin/env bash
# Nim 1.6.10: an asynchronous server ends when another process that shares its listening socket is faster, however it was built.
#
# asyncdispatch asserts that accept() of a socket that was reported readable never gives EAGAIN, in release builds too. Without assertions
# (-d:danger) the future of accept() fails with "Resource temporarily unavailable", which ends a server that does not catch it.
# One would guess: EAGAIN means to wait again, as it does in other event loops, and as ECONNABORTED does in Nim.
source "$(dirname "$0")/common.sh"

unpack_debs nim
command -v gcc >/dev/null || give_up 'no gcc'
cat >"$work/server.nim" <<'NIM'
import asyncdispatch, asyncnet
proc serve(client: AsyncSocket) {.async.} =
  await client.send("x")
  client.close()
proc main() {.async.} =
  register(AsyncFD(3))
  let listener = newAsyncSocket(AsyncFD(3))
  while true:
    asyncCheck serve(await listener.accept())
waitFor main()
NIM
cat >"$work/shared.py" <<'PY'
# One or more processes on one socket, 10,000 clients at most. How has the first process that ended done so?
import concurrent.futures, os, signal, socket, subprocess, sys, time
listener = socket.create_server(("127.0.0.1", 0), backlog=128)
listener.setblocking(False)
os.dup2(listener.fileno(), 3)
servers = [subprocess.Popen([sys.argv[1]], pass_fds=[3], stderr=subprocess.PIPE) for _ in range(int(sys.argv[2]))]
def ask(_):
    if all(server.poll() is None for server in servers):
        with socket.create_connection(listener.getsockname(), 10) as client:
            client.settimeout(10)
            client.recv(1)
with concurrent.futures.ThreadPoolExecutor(4) as clients:
    list(clients.map(ask, range(10000)))
ended = [server for server in servers if server.poll() is not None]
text = ended[0].stderr.read().decode() if ended else "none ended"
known = [words for words in ("AssertionDefect", "Resource temporarily unavailable") if words in text]
print(f"status {ended[0].returncode}, {known[0]}" if known else text)
for server in servers:
    server.kill()
PY
for build in release danger; do
    "$work/root/usr/bin/nim" c --lib:"$work/root/usr/lib/nim/lib" --nimcache:"$work/cache-$build" --hints:off -d:$build \
        -o:"$work/$build" "$work/server.nim" >"$work/nim.log" 2>&1 || give_up "$(tail -n 1 "$work/nim.log")"
done
expect 'one process' "$(timeout 100 python3 "$work/shared.py" "$work/release" 1)" 'none ended'
expect 'two processes on one socket' "$(timeout 100 python3 "$work/shared.py" "$work/release" 2)" 'status 1, AssertionDefect'
expect 'two without assertions' "$(timeout 100 python3 "$work/shared.py" "$work/danger" 2)" 'status 1, Resource temporarily unavailable'
finish
