#!/usr/bin/env bash
# prepare.sh - brings the suites into $FOREIGN: those of CPython, GIO and libsoup as Debian packages, the others from
# Debian's source packages, built as their authors do. The machine's list of package sources is left as it is.
set -eu

: "${FOREIGN:?}"
mkdir -p "$FOREIGN"
cd "$FOREIGN"
[ "$(id -u)" = 0 ] && sudo= || sudo='sudo -n'
# shellcheck disable=SC1091
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=${MIRROR:-http://deb.debian.org/debian}

install() { # PACKAGE...: what is missing of them
    local package missing=
    for package; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
    done
    # shellcheck disable=SC2086 # a list
    [ -z "$missing" ] ||
        DEBIAN_FRONTEND=noninteractive $sudo apt-get -o DPkg::Lock::Timeout=300 install -y -q $missing >apt.log 2>&1
}

# apt-get with lists of its own that hold sources.
source_apt() {
    mkdir -p "$FOREIGN/apt/lists/partial"
    echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $codename main" >"$FOREIGN/apt/sources.list"
    apt-get -q -o Dir::Etc::SourceList="$FOREIGN/apt/sources.list" -o Dir::Etc::SourceParts=- -o APT::Sandbox::User=root \
        -o Dir::State::Lists="$FOREIGN/apt/lists" -o Dir::Cache::srcpkgcache= -o Dir::Cache::pkgcache= "$@"
}

fetch() { # SOURCE-PACKAGE FOLDER: unpacked, with Debian's patches
    [ -f apt/updated ] || { source_apt update >apt.log 2>&1 && touch apt/updated; }
    rm -rf "$2.new"
    mkdir "$2.new"
    (cd "$2.new" && source_apt source "$1" >>"$FOREIGN/apt.log" 2>&1)
    mv "$2.new"/*/ "$2"
    rm -r "$2.new"
}

build_tcl() { # tcltest: the shell with the commands that only its tests use
    fetch tcl8.6 tcl
    cd tcl/unix
    ./configure && make -j2 tcltest
}

build_libuv() {
    fetch libuv1 libuv
    mkdir libuv/build
    cd libuv/build
    cmake .. && make -j2 uv_run_tests
}

build_libevent() {
    fetch libevent libevent
    mkdir libevent/build
    cd libevent/build
    cmake -DEVENT__DISABLE_OPENSSL=ON -DEVENT__LIBRARY_TYPE=STATIC .. && make -j2 regress
}

build_php() { # its tests alone, for the installed php
    fetch php8.2 php
}

build_ruby() { # its tests alone, for the installed ruby
    fetch ruby3.1 ruby
}

# The suites alone, for the installed Erlang, and what they expect to be built.
build_erlang() {
    local common_test
    fetch erlang erlang
    common_test=$(erl -noshell -eval 'io:put_chars(code:lib_dir(common_test)), halt().')
    cd erlang/lib/kernel/test
    erlc -I . -I ../.. -I "$common_test/include" -I ../../common_test/test_server gen_tcp_*_SUITE.erl inet_SUITE.erl \
        inet_sockopt_SUITE.erl kernel_test_*.erl socket_test_*.erl ../../common_test/test_server/ts_install_cth.erl \
        ../../common_test/test_server/ts_lib.erl
    cc -O1 -o inet_sockopt_SUITE_data/sockopt_helper inet_sockopt_SUITE_data/sockopt_helper.c
    cc -shared -fPIC -I/usr/lib/erlang/usr/include -o gen_tcp_api_SUITE_data/gen_tcp_api_SUITE.so \
        gen_tcp_api_SUITE_data/gen_tcp_api_SUITE.c
}

once() { # SUITE: what a run that was interrupted left behind is made again
    [ ! -f "$1.built" ] || return 0
    rm -rf "$1"
    (set -e; "build_$1") >"$1.log" 2>&1 || { echo "cannot build the tests of $1; see $FOREIGN/$1.log" >&2; exit 1; }
    touch "$1.built"
}

install libpython3.11-testsuite build-essential cmake iproute2 libglib2.0-tests libsoup-3.0-tests php-cli \
    ruby3.1 erlang-base erlang-common-test erlang-dev erlang-os-mon erlang-tools erlang-ssl
once tcl
once libuv
once libevent
once php
once ruby
once erlang
