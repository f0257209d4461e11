# places.bash - where things are, for the tests: load places. BUILD=build/asan runs the same tests with that build.
# shellcheck shell=bash disable=SC2034

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD:-build}
[[ $BUILD == /* ]] || BUILD=$ROOT/$BUILD
SSHIM=$BUILD/sshim
LIB=$BUILD/libsshim.so
