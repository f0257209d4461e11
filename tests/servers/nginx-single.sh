#!/bin/sh
# server: nginx-single   class: A   debian: nginx-light
# shows: epoll, one process
. "${0%/*}/lib/recipe.sh"

start() {
    echo "$page" >index.html
    mkdir logs
    cat >nginx.conf <<END
user root;
daemon off;
master_process off;
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
