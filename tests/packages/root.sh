#!/bin/sh
# root.sh FILE - makes the root of a small Debian of this machine's release, with what sshim needs to run, as a tar file.
# Nothing is done if the file is there.
set -eu

[ ! -e "$1" ] || exit 0
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
mkdir -p "$(dirname "$1")"
mmdebstrap --quiet --variant=minbase --include=libjansson4,libmicrohttpd12,libncursesw6,python3-minimal,libpython3-stdlib "$release" "$1.new.tar"
mv "$1.new.tar" "$1"
