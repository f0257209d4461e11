#!/bin/sh
# server: git-daemon   class: A   debian: git
# shows: listens in a grandchild
. "${0%/*}/lib/recipe.sh"

start() {
    git init -q --bare some.git
    tree=$(git -C some.git hash-object -w -t tree /dev/null)
    commit=$(GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x@y GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x@y \
        git -C some.git commit-tree -m first "$tree")
    git -C some.git update-ref refs/heads/trunk "$commit"
    exec git daemon --reuseaddr --export-all --base-path="$dir" --listen="$host" --port="$port"
}

probe() {
    timeout 8 git ls-remote "git://$address/some.git" | grep -q refs/heads/trunk
}

recipe "$@"
