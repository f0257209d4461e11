#!/bin/sh
# server: apache-X   class: B   debian: apache2-bin
# shows: one child of a pre-forking server, alone; options set after listen
. "${0%/*}/lib/recipe.sh"

start() {
    modules=/usr/lib/apache2/modules
    echo "$page" >index.html
    cat >httpd.conf <<END
ServerName localhost
ServerRoot $dir
DocumentRoot $dir
DefaultRuntimeDir $dir
PidFile $dir/pid
ErrorLog /dev/stderr
Listen $address
User nobody
Group nogroup
LoadModule mpm_prefork_module $modules/mod_mpm_prefork.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule dir_module $modules/mod_dir.so
END
    exec apache2 -X -f "$dir/httpd.conf"
}

probe() {
    http_serves index.html
}

recipe "$@"
