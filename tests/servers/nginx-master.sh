#!/bin/sh
# server: nginx-master   class: C   debian: nginx-light
# shows: its own workers, a master that listens twice
. "${0%/*}/lib/recipe.sh"

start() {
    echo "$page" >index.html
    mkdir logs
    cat >nginx.conf <<END
user root;
daemon off;
worker_processes 2;
pid $dir/pid;
error_log stderr;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path $dir/body;
    proxy_temp_path $dir/proxy;
    fastcgi_temp_path $dir/fastcgi;
    uwsgi_temp_path $dir/uwsgi;
    scgi_temp_path $dir/scgi;
    server { listen $address; root $dir; }
}
END
    exec nginx -p "$dir" -c "$dir/nginx.conf"
}

probe() {
    http_serves index.html
}

recipe "$@"
