#!/bin/sh
# server: sshd   class: B   debian: openssh-server
# shows: executes itself for each connection
. "${0%/*}/lib/recipe.sh"

start() {
    mkdir -p /run/sshd
    ssh-keygen -q -t ed25519 -N '' -f key
    exec /usr/sbin/sshd -D -e -f /dev/null -p "$port" -o "ListenAddress=$host" -o "HostKey=$dir/key" \
        -o PidFile=none -o UsePAM=no
}

probe() {
    talk </dev/null | head -c 8 | grep -q '^SSH-2.0-'
}

recipe "$@"
