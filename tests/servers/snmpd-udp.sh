#!/bin/sh
# server: snmpd-udp   class: C   debian: snmpd
# shows: one port for TCP and for datagrams
. "${0%/*}/lib/recipe.sh"

start() {
    echo 'rocommunity public 127.0.0.1' >snmpd.conf
    SNMP_PERSISTENT_DIR=$dir exec snmpd -f -Le -C -c "$dir/snmpd.conf" -p "$dir/pid" "udp:$address,tcp:$address"
}

probe() {
    accepts
}

recipe "$@"
