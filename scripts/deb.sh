#!/bin/sh
# deb.sh - builds the Debian package of this tree into build/deb/, and has lintian look at it.
#
# The maintainer is who builds it: DEBFULLNAME, DEBEMAIL. DEB_VERSION is another version than that of the program.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
version=$(sed -n 's/^#define SSHIM_VERSION "\(.*\)"/\1/p' "$root/broker/main.c")
version=${DEB_VERSION:-$version}
folder=$root/build/deb
tree=$folder/sshim-$version

rm -rf "$tree"
mkdir -p "$tree"
(cd "$root" && git ls-files -z | tar -c --null -T - -f - --ignore-failed-read) | tar -x -C "$tree"
cp -r "$root/scripts/debian" "$tree/debian"
maintainer="${DEBFULLNAME:-sshim} <${DEBEMAIL:-sshim@localhost}>"
sed -i "s/^Maintainer:.*/Maintainer: $maintainer/" "$tree/debian/control"
cat >"$tree/debian/changelog" <<END
sshim ($version) unstable; urgency=medium

  * See CHANGELOG.md.

 -- $maintainer  $(git -C "$root" log -1 --format=%aD)
END
{
    printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: sshim\n\n'
    printf 'Files: *\nCopyright: %s\nLicense: BSD-2-Clause\n' "$(sed -n 's/^Copyright (c) //p' "$root/LICENSE")"
    sed -n '/^Redistribution/,$p' "$root/LICENSE" | sed 's/^$/./; s/^/ /'
} >"$tree/debian/copyright"

tags=initial-upload-closes-no-bugs,bogus-mail-host,bogus-mail-host-in-debian-changelog
cd "$tree"
log=$folder/build.log
dpkg-buildpackage -b -us -uc >"$log" 2>&1 || { tail -n 30 "$log" >&2 && exit 1; }
# no archive knows it: it closes no bug, and perhaps nobody has given an address
lintian --fail-on error,warning --suppress-tags "$tags" "$folder"/sshim_"$version"_*.changes
echo "built $(ls "$folder"/sshim_"$version"_*.deb)"
