# places.bash - where things are, for the tests: load places. BUILD=build/asan runs the same tests with that build.
# shellcheck shell=bash disable=SC2034

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD:-build}
[[ $BUILD == /* ]] || BUILD=$ROOT/$BUILD
SSHIM=$BUILD/sshim
LIB=$BUILD/libsshim.so

# Some kernels, as those of some virtual machines, execute no program of i386.
runs_32bit() {
    local status=0
    "$BUILD/tests/progs/victim_wait-m32" >/dev/null 2>&1 || status=$?
    ((status != 126)) # ENOEXEC, see bash(1), EXIT STATUS
}
