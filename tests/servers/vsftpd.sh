#!/bin/sh
# server: vsftpd   class: B   debian: vsftpd
# shows: data listeners of its own, opened in a child after the first accept
. "${0%/*}/lib/recipe.sh"

start() {
    mkdir empty files
    echo "$page" >files/page
    [ "$(id -u)" != 0 ] || chown root .
    cat >vsftpd.conf <<END
listen=YES
listen_ipv6=NO
listen_address=$host
listen_port=$port
background=NO
anonymous_enable=YES
local_enable=NO
pasv_enable=YES
anon_root=$dir/files
secure_chroot_dir=$dir/empty
nopriv_user=nobody
ftp_username=daemon
seccomp_sandbox=NO
END
    exec vsftpd "$dir/vsftpd.conf"
}

probe() {
    curl -fsS -m 8 "ftp://$address/page" | grep -q "$page"
}

recipe "$@"
