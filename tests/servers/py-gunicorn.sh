#!/bin/sh
# server: py-gunicorn   class: C   debian: gunicorn
# shows: its own pre-forked workers, select then accept
. "${0%/*}/lib/recipe.sh"

start() {
    cat >app.py <<END
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"$page"]
END
    exec gunicorn --workers 2 --bind "$address" --chdir "$dir" app:app
}

probe() {
    http_serves ''
}

recipe "$@"
