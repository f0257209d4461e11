#!/bin/sh
# server: svnserve   class: A   debian: subversion
# shows: a child for each connection
. "${0%/*}/lib/recipe.sh"

start() {
    svnadmin create repository
    exec svnserve --daemon --foreground --listen-host "$host" --listen-port "$port" --root "$dir"
}

probe() {
    timeout 8 svn --non-interactive info "svn://$address/repository" | grep -q '^Revision: 0'
}

recipe "$@"
