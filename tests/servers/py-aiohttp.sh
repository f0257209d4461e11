#!/bin/sh
# server: py-aiohttp   class: A   debian: python3-aiohttp
# shows: epoll, non-blocking from the start
. "${0%/*}/lib/recipe.sh"

start() {
    cat >server.py <<'END'
import sys
from aiohttp import web

async def serve(request):
    return web.Response(text=sys.argv[2])

app = web.Application()
app.router.add_get("/", serve)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]))
END
    exec python3 server.py "$port" "$page"
}

probe() {
    http_serves ''
}

recipe "$@"
