#!/bin/sh
# server: unbound   class: B   debian: unbound
# shows: one port for TCP and for datagrams; options set after listen
. "${0%/*}/lib/recipe.sh"

start() {
    cat >unbound.conf <<END
server:
    interface: $host
    port: $port
    num-threads: 1
    do-daemonize: no
    do-not-query-localhost: no
    username: ""
    chroot: ""
    directory: "$dir"
    pidfile: ""
    use-syslog: no
    module-config: "iterator"
    local-data: "name.test. A 192.0.2.7"
remote-control:
    control-enable: no
END
    exec unbound -d -c "$dir/unbound.conf"
}

probe() {
    dns_answers tcp
}

recipe "$@"
