# shellcheck shell=sh
# nginx.sh - read by the recipes of nginx, behind recipe.sh.
# shellcheck disable=SC2154 # of recipe.sh

start_nginx() { # LINE: how it runs
    echo "$page" >index.html
    mkdir logs
    cat >nginx.conf <<END
user root;
daemon off;
$1
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
