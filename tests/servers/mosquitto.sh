#!/bin/sh
# server: mosquitto   class: C   debian: mosquitto
# shows: state in memory
. "${0%/*}/lib/recipe.sh"

start() {
    cat >mosquitto.conf <<END
listener $port $host
allow_anonymous true
persistence false
END
    exec mosquitto -c mosquitto.conf
}

# CONNECT of MQTT 3.1.1 without a name; CONNACK with return code 0 comes back.
probe() {
    answer=$(printf '\020\014\000\004MQTT\004\002\000\074\000\000' | timeout 5 nc -N -w 5 "$host" "$port" | od -An -tx1)
    [ "$answer" = " 20 02 00 00" ]
}

recipe "$@"
