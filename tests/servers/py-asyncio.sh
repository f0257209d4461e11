#!/bin/sh
# server: py-asyncio   class: A   debian: python3
# shows: epoll in one thread
. "${0%/*}/lib/recipe.sh"

start() {
    cat >server.py <<'END'
import asyncio, sys

async def serve(reader, writer):
    writer.write(b"asyncio " + await reader.readline())
    await writer.drain()
    writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()

asyncio.run(main())
END
    exec python3 server.py "$port"
}

probe() {
    answers ping "asyncio ping"
}

recipe "$@"
