#!/bin/sh
# server: py-uvicorn   class: A   debian: uvicorn
# shows: epoll through asyncio or uvloop
. "${0%/*}/lib/recipe.sh"

start() {
    cat >app.py <<END
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"$page"})
END
    exec python3 -m uvicorn --lifespan off --app-dir "$dir" --host "$host" --port "$port" app:app
}

probe() {
    http_serves ''
}

recipe "$@"
